import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Short tunes written for the tests. By their titles Ash, Cedar, Linden and Plum are held out, the others are for training.
 */
export const TREE_TUNES: readonly string[] = [
  ['Oak', 'jig', '6/8', 'D', 'ABA FED|EFE E2A|ABA FED|EFD D3|fgf edB|ABd e2f|fed BAF|EFD D3|]'],
  ['Elm', 'jig', '6/8', 'G', 'GBd gfe|dBG A2D|GBd gfe|dBA G3|gbg faf|edB A2d|gfe dBG|ABA G3|]'],
  ['Birch', 'jig', '6/8', 'A', 'cec ABc|dBG B2d|cec ABc|BcA A3|efe cAc|ded BGB|cec ABc|BcA A3|]'],
  ['Willow', 'reel', '4/4', 'D', 'A2FA DAFA|G2BG EGBG|A2FA DAFA|GECE D4|d2fd Adfd|c2ec Acec|d2fd BdAF|GECE D4|]'],
  ['Rowan', 'reel', '4/4', 'G', 'G2BG DGBG|A2cA DAcA|G2BG DGBd|cAFA G4|g2bg dgbg|f2af dfaf|gfed cBAG|FGAF G4|]'],
  ['Hazel', 'reel', '4/4', 'Am', 'A2eA cAeA|G2dG BGdG|A2eA cAec|BGEG A4|a2ea cAea|g2dg BGdg|aged cBAG|EGBG A4|]'],
  ['Alder', 'waltz', '3/4', 'C', 'C2 E2 G2|c4 G2|A2 F2 A2|G6|F2 A2 c2|e4 c2|d2 B2 G2|c6|]'],
  ['Maple', 'waltz', '3/4', 'G', 'D2 G2 B2|d4 B2|c2 A2 F2|G6|B2 d2 g2|f4 d2|e2 c2 A2|G6|]'],
  ['Beech', 'waltz', '3/4', 'Dm', 'D2 F2 A2|d4 A2|G2 E2 G2|F6|A2 d2 f2|e4 c2|d2 A2 F2|D6|]'],
  ['Holly', 'jig', '6/8', 'Em', 'EGB e2B|dBA G2F|EGB e2d|BGF E3|eBe gfe|dAd fed|eBe gfe|dBG E3|]'],
  ['Yew', 'reel', '4/4', 'D', 'd2Ad fdAd|e2Ae geAe|f2df afdf|edcB A4|F2AF dFAF|G2BG eGBG|A2cA eAcA|dfec d4|]'],
  ['Ash', 'jig', '6/8', 'D', 'FAd fed|BdB A2F|FAd fed|BAG F3|dfa afd|egb b2a|afd fed|BAc d3|]'],
  ['Cedar', 'reel', '4/4', 'G', 'B2GB dBGB|c2Ac ecAc|B2GB dBgd|cAFA G4|d2gd bdgd|c2ac fcac|Bdgb agfe|dcBA G4|]'],
  ['Linden', 'waltz', '3/4', 'D', 'F2 A2 d2|f4 d2|e2 c2 A2|d6|B2 d2 g2|f4 A2|G2 E2 C2|D6|]'],
  ['Plum', 'jig', '6/8', 'G', 'dBG GBd|ege d2B|dBG GBd|cAF G3|bgd dgb|aga f2d|gdB cAF|AGF G3|]'],
].map(
  ([title, type, meter, key, music], i) =>
    `X:${i + 1}\nT:The ${title}\nR:${type}\nM:${meter}\nL:1/8\nK:${key}\n${music}\n`,
);

/** Writes them as ABC files, four to a file, into a new folder. */
export function writeTreeTunes(folder: string): void {
  mkdirSync(folder);
  for (let begin = 0; begin < TREE_TUNES.length; begin += 4) {
    writeFileSync(join(folder, `trees-${begin / 4 + 1}.abc`), TREE_TUNES.slice(begin, begin + 4).join('\n'));
  }
}
