import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Random } from '../../lib/random.ts';
import { elementText } from '../../lib/tasks/tunes/element-text.ts';
import { BAR_LINES, type Bar, MODES, type Note, type Tune } from '../../lib/tasks/tunes/tune.ts';

/** Labelled tunes in a folder beside the project; tests on them are skipped where it is absent. */
export const LABELLED_TUNES = fileURLToPath(new URL('../../../shared/data/tunes-pd.jsonl.gz', import.meta.url));
export const haveLabelledTunes = existsSync(LABELLED_TUNES);
if (!haveLabelledTunes) console.warn('skipped: tests on labelled tunes, which are not beside the project');

/** Elements as text: `60:12`, `R:12`, `60:12-`, bar lines as they are. */
export function show({ elements }: Pick<Tune, 'elements'>): string {
  return elements.map(elementText).join(' ');
}

/** The elements that {@link show} shows. */
export function elementsOf(text: string): (Note | Bar)[] {
  return text
    .split(' ')
    .filter((token) => token !== '')
    .map((token): Note | Bar => {
      const line = BAR_LINES.find((candidate) => candidate === token);
      if (line) return { kind: 'bar', line };
      const [pitch, length] = token.split(':') as [string, string];
      const ticks = Number.parseInt(length, 10);
      return { kind: 'note', pitch: pitch === 'R' ? null : Number(pitch), ticks, tied: length.endsWith('-') };
    });
}

export function tuneOf(text: string, fields: Partial<Tune> = {}): Tune {
  return { id: '1', title: '', type: '', meter: '', key: 'C', mode: 'major', elements: elementsOf(text), ...fields };
}

const KEYS = ['C', 'D', 'E', 'F', 'G', 'A', 'B'].flatMap((letter) => [letter, `${letter}b`, `${letter}#`]);

/** A tune of anything that a tune may have: any key, mode, pitch, duration, tie and bar line. */
export function randomTune(random: Random): Tune {
  const pick = <T>(values: readonly T[]): T => values[random.integer(values.length)] as T;
  const elements: (Note | Bar)[] = [];
  const notes = 1 + random.integer(60);
  let tied: number | null = null;
  for (let index = 0; index < notes; index++) {
    while (random.integer(5) === 0) elements.push({ kind: 'bar', line: pick(BAR_LINES) });
    const pitch: number | null = tied ?? (random.integer(8) === 0 ? null : random.integer(128));
    const ticks = random.integer(2) === 0 ? 1 + random.integer(200) : pick([3, 4, 6, 8, 12, 16, 18, 24, 36, 48]);
    tied = pitch !== null && index < notes - 1 && random.integer(6) === 0 ? pitch : null;
    elements.push({ kind: 'note', pitch, ticks, tied: tied !== null });
  }
  if (!elements.some((e) => e.kind === 'note' && e.pitch !== null)) elements.push(...elementsOf('60:12'));
  return {
    id: '1',
    title: pick(['', 'The Title', 'Ça 100% \\ & "so"', "\\'e %% x"]),
    type: pick(['', 'jig', 'slip jig']),
    meter: pick(['', '4/4', '6/8', '2/2', '5/8']),
    key: pick(KEYS),
    mode: pick(MODES),
    elements,
    ...(random.integer(2) === 0 ? {} : { tempo: pick(['slow', '1/4=120', '3/8=66.5']) }),
    ...(random.integer(2) === 0 ? {} : { composer: 'A. N. Other' }),
  };
}
