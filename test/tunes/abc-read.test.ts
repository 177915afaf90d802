import { describe, expect, it } from 'vitest';
import { ValueError } from '../../lib/errors.ts';
import { type ReadAbcOptions, readAbc, readAbcTune } from '../../lib/tasks/tunes/abc/read.ts';
import type { Tune } from '../../lib/tasks/tunes/tune.ts';

/** Elements as text: `60:12`, `R:12`, `60:12-`, bar lines as they are. */
function show({ elements }: Pick<Tune, 'elements'>): string {
  return elements
    .map((e) => (e.kind === 'bar' ? e.line : `${e.pitch ?? 'R'}:${e.ticks}${e.tied ? '-' : ''}`))
    .join(' ');
}

/** A body in C major, 4/4, units of an eighth (12 ticks), read and shown. */
function body(text: string, fields = 'M:4/4\nL:1/8\nK:C', options: ReadAbcOptions = {}): string {
  return show(readAbcTune(`X:1\n${fields}\n${text}\n`, options));
}

/** The message that a body is refused with. */
function refusal(text: string, fields?: string): string {
  try {
    body(text, fields);
  } catch (error) {
    expect(error).toBeInstanceOf(ValueError);
    return (error as ValueError).message;
  }
  throw new Error(`nothing was refused in ${text.slice(0, 40)}`);
}

describe('notes of ABC', () => {
  it('have octaves by case and marks', () => {
    expect(body("C,, C, C c c' c'' B b")).toBe('36:12 48:12 60:12 72:12 84:12 96:12 71:12 83:12');
    expect(body("C' c,")).toBe('72:12 60:12');
  });

  it('have lengths in units', () => {
    expect(body('C2 C/ C/2 C// C3/2 C/4 C8 z z2 x/')).toBe('60:24 60:6 60:6 60:3 60:18 60:3 60:96 R:12 R:24 R:6');
    expect(body('C', 'M:2/4\nK:C')).toBe('60:6');
    expect(body('C', 'M:3/4\nK:C')).toBe('60:12');
    expect(body('C', 'M:none\nK:C')).toBe('60:12');
    expect(body('C [L:1/4]C\nL:1/16\nC')).toBe('60:12 60:24 60:6');
  });

  it('have accidentals, which last to the end of the bar in all octaves, or as is asked', () => {
    const text = '^F f F | F __B B =B ^^c';
    expect(body(text)).toBe('66:12 78:12 66:12 | 65:12 69:12 69:12 71:12 74:12');
    expect(body(text, undefined, { accidentals: 'octave' })).toContain('66:12 77:12 66:12 |');
    expect(body(text, undefined, { accidentals: 'not' })).toContain('66:12 77:12 65:12 | 65:12 69:12 71:12');
    expect(body(`%%propagate-accidentals octave\n${text}`)).toContain('66:12 77:12 66:12 |');
    expect(body(text, 'I:propagate-accidentals not\nK:C')).toContain('66:12 77:12 65:12 |');
  });

  it('carry an accidental over the bar line by a tie, on that note alone', () => {
    expect(body('^F-|F F')).toBe('66:12- | 66:12 65:12');
    expect(body('^F|F')).toBe('66:12 | 65:12');
    expect(body('^F-|=F')).toBe('66:12 | 65:12');
  });

  it('follow broken rhythm, also doubled and tripled', () => {
    expect(body('C>D E<F')).toBe('60:18 62:6 64:6 65:18');
    expect(body('C>>D E<<F')).toBe('60:21 62:3 64:3 65:21');
    expect(body('C2>>>D2')).toBe('60:45 62:3');
    expect(body('C > {B}D')).toBe('60:18 62:6');
    expect(body('C2>D2')).toBe('60:36 62:12');
  });

  it('stand in tuplets', () => {
    expect(body('(3CDE F')).toBe('60:8 62:8 64:8 65:12');
    expect(body('(2CD (4CDEF', 'M:6/8\nL:1/8\nK:C')).toBe('60:18 62:18 60:9 62:9 64:9 65:9');
    expect(body('(6C2D2E2F2G2A2')).toBe('60:8 62:8 64:8 65:8 67:8 69:8');
    expect(body('(3:2:2C2D E')).toBe('60:16 62:8 64:12');
    expect(body('(3::4C/D/E/F/ G')).toBe('60:4 62:4 64:4 65:4 67:12');
    expect(body('(9CDEFGABcd', 'M:9/8\nL:3/4\nK:C')).toBe(
      [60, 62, 64, 65, 67, 69, 71, 72, 74].map((pitch) => `${pitch}:24`).join(' '),
    );
    expect(body('(3:4:3CDE')).toBe('60:16 62:16 64:16');
  });

  it('count rests and chords in tuplets, but no grace notes', () => {
    expect(body('(3C{fg}z[EG] F')).toBe('60:8 R:8 67:8 65:12');
  });

  it('are tied', () => {
    expect(body('C2-C D-|D E- E')).toBe('60:24- 60:12 62:12- | 62:12 64:12- 64:12');
  });

  it('count as the highest of a chord, whose length is its first note’s', () => {
    expect(body('[CEG] [C2E2]3/2 [ceG]/ [^F A-]A')).toBe('67:12 64:36 76:6 69:12- 69:12');
    expect(body('[C-^E-]|[EC]')).toBe('65:12- | 65:12');
  });

  it('rest for whole bars', () => {
    expect(body('Z|Z2|C', 'M:6/8\nK:C')).toBe('R:72 | R:72 | R:72 | 60:12');
  });

  it('come without what is no melody', () => {
    expect(body('"Am"C !trill!D +fermata+E .F ~G {g/a/}A (B c) vd ue Tf `C$ "^text|"D !\nw: la la\nW: la')).toBe(
      '60:12 62:12 64:12 65:12 67:12 69:12 71:12 72:12 74:12 76:12 77:12 60:12 62:12',
    );
    expect(body('C D % a comment | E\nE \\\nF')).toBe('60:12 62:12 64:12 65:12');
    expect(body('P:A\nC\nN:note\nr:remark\n[r:more]D\nG:|A')).toBe('60:12 62:12 67:12 :| 69:12');
  });
});

describe('bar lines of ABC', () => {
  it('become one of eight', () => {
    expect(body('C|C||C|:C:|C::C:|:C:||:C|]C[|C:|')).toBe(
      '60:12 | 60:12 || 60:12 |: 60:12 :| 60:12 :: 60:12 :: 60:12 :: 60:12 || 60:12 || 60:12 :|',
    );
    expect(body('|:C|1C:|2C||C|1C:|2C|]')).toBe('|: 60:12 |1 60:12 :|2 60:12 || 60:12 |1 60:12 :|2 60:12 ||');
    expect(body('C[1C:|[2C||[1C [|] C .| C')).toBe('60:12 |1 60:12 :|2 60:12 ||1 60:12 | 60:12 | 60:12');
  });

  it('are one where nothing stands between', () => {
    expect(body('C:|\n|:C:| [2C|\n||C | [1 C:| [2C')).toContain('60:12 :: 60:12 :|2 60:12 || 60:12 |1 60:12 :|');
    expect(body('C|y|C')).toBe('60:12 | | 60:12');
  });

  it('have endings beyond the second, and for several passes', () => {
    expect(body('|:C|1D:|2E:|3F|]')).toBe('|: 60:12 |1 62:12 :|2 64:12 :|2 65:12 ||');
    expect(body('|:C|1,3D:|2E||F')).toBe('|: 60:12 |1 62:12 :|2 64:12 :|2 62:12 || 65:12');
    expect(body('|:C[1-2 D:|[3 E|]')).toBe('|: 60:12 |1 62:12 :|2 62:12 :|2 64:12 ||');
  });
});

describe('fields of ABC', () => {
  const tune = (fields: string) => readAbcTune(`X:7\n${fields}\nC|\n`);

  it('label the tune', () => {
    const read = tune('T:The Title\nT:Another\nC:A. Composer\nR:Slip Jig\nM:9/8\nQ:"Lively" 3/8=120\nK:Ador');
    expect(read).toMatchObject({
      id: '7',
      title: 'The Title',
      composer: 'A. Composer',
      type: 'slip jig',
      meter: '9/8',
      key: 'A',
      mode: 'dorian',
      tempo: '3/8=120',
    });
    expect(tune('K:C')).toEqual({
      id: '7',
      title: '',
      type: '',
      meter: '',
      key: 'C',
      mode: 'major',
      elements: [
        { kind: 'note', pitch: 60, ticks: 12, tied: false },
        { kind: 'bar', line: '|' },
      ],
    });
  });

  it('have metres and tempos in all their forms', () => {
    const meters = { C: '4/4', 'C|': '2/2', none: '', '': '', '(2+3)/8': '5/8', '2+2+3/8': '7/8', '12/8': '12/8' };
    for (const [content, meter] of Object.entries(meters)) expect(tune(`M:${content}\nK:C`).meter).toBe(meter);
    const tempos = {
      '"Slow"': 'slow',
      '1/4=60': '1/4=60',
      '120': '1/8=120',
      'C=100': '1/8=100',
      'C3=100': '3/8=100',
      '1/4 3/8 1/4 3/8=40': '5/4=40',
      '1/4=80 "Andante"': '1/4=80',
    };
    for (const [content, tempo] of Object.entries(tempos)) expect(tune(`Q:${content}\nK:C`).tempo).toBe(tempo);
    expect(tune('Q:1/4=0\nK:C').tempo).toBeUndefined();
  });

  it('have text with escapes', () => {
    expect(tune('T:Caf\\\'e \\"Uber 100\\% \\\\ \\& \\u00df \\aa\\/o\\cc % comment\nK:C').title).toBe(
      'Café Über 100% \\ & ß åøç',
    );
  });

  it('have keys with modes and accidentals', () => {
    const scale = (key: string) => show(readAbcTune(`X:1\nL:1/8\nK:${key}\nCDEFGAB\n`)).replaceAll(':12', '');
    expect(scale('C')).toBe('60 62 64 65 67 69 71');
    expect(scale('D')).toBe('61 62 64 66 67 69 71');
    for (const key of [
      'Bm',
      'B min',
      'BMinor',
      'B aeolian',
      'D Ionian',
      'Edor',
      'F# phr',
      'G lydian',
      'AMIX',
      'C#loc',
    ]) {
      expect(scale(key)).toBe(scale('D'));
    }
    expect(scale('Bb')).toBe('60 62 63 65 67 69 70');
    expect(scale('C#')).toBe('61 63 65 66 68 70 72');
    expect(scale('Cb')).toBe('59 61 63 64 66 68 70');
    expect(scale('D Phr ^f')).toBe('60 62 63 66 67 69 70');
    expect(scale('D exp _b _e ^f')).toBe('60 62 63 66 67 69 70');
    expect(scale('Amix =g_b')).toBe('61 62 64 66 67 69 70');
    for (const key of ['', 'none', 'HP', 'C clef=bass', 'C bass', 'C middle=d']) expect(scale(key)).toBe(scale('C'));
    expect(scale('Hp')).toBe(scale('D'));
    expect(tune('K:Hp')).toMatchObject({ key: 'A', mode: 'mixolydian' });
    expect(tune('K:Eb minor')).toMatchObject({ key: 'Eb', mode: 'minor' });
  });

  it('shift to the sounding pitch', () => {
    const first = (key: string) => readAbcTune(`X:1\nK:${key}\nC\n`);
    expect(first('C clef=treble-8').elements[0]).toMatchObject({ pitch: 48 });
    expect(first('C treble+8').elements[0]).toMatchObject({ pitch: 72 });
    expect(first('C octave=-2').elements[0]).toMatchObject({ pitch: 36 });
    expect(first('C transpose=-2')).toMatchObject({ key: 'Bb', elements: [{ pitch: 58 }] });
  });

  it('change within the tune', () => {
    const text = 'X:1\nM:4/4\nL:1/8\nK:C\nF[K:G]F|\nK:F\nB[M:3/4]Z|\n';
    const { tunes, problems } = readAbc(text);
    expect(show(tunes[0]!)).toBe('65:12 66:12 | 70:12 R:72 |');
    expect(tunes[0]).toMatchObject({ key: 'C', meter: '4/4' });
    expect(problems.map(({ lost, line }) => [lost, line])).toEqual([
      [false, 5],
      [false, 6],
      [false, 7],
    ]);
    expect(readAbc('X:1\nK:C\n[M:6/8][K:G]F\n').problems).toEqual([]);
    expect(readAbcTune('X:1\nK:C\n[M:6/8][K:Gm]F\n')).toMatchObject({ key: 'G', mode: 'minor', meter: '6/8' });
  });
});

describe('files of ABC', () => {
  it('hold several tunes, with the fields of the file for all', () => {
    const text =
      '\ufeff%abc-2.1\r\nM:6/8\r\nL:1/4\r\n\r\nfree text\r\n\r\nX:1\r\nT:One\r\nK:D\r\nF|\r\n\r\nX:2\nT:Two\nM:C\nK:C\nF|\nX:2\nK:C\n%%begintext\nK:A\nhello [\n%%endtext\nG|\n% comment\nA|\n\nmore text: [[[\n';
    const { tunes, problems } = readAbc(text);
    expect(problems).toEqual([]);
    expect(tunes.map((t) => [t.id, t.title, t.meter, show(t)])).toEqual([
      ['1', 'One', '6/8', '66:24 |'],
      ['2', 'Two', '4/4', '65:24 |'],
      ['2.2', '', '6/8', '67:24 | 69:24 |'],
    ]);
  });

  it('lose one bad tune and no other', () => {
    const { tunes, problems } = readAbc('X:1\nK:C\nC|\n\nX:2\nT:Bad\nK:C\nC|\nCD^|E\n[[[\n\nX:3\nK:C\nE|\n', {
      source: 'my.abc',
    });
    expect(tunes.map(({ id }) => id)).toEqual(['1', '3']);
    expect(problems).toEqual([
      {
        file: 'my.abc',
        line: 9,
        message: 'my.abc:9:3: X:2 "Bad": expected ^^, ^, =, _ or __ and a note, got "^|E"',
        lost: true,
      },
    ]);
  });

  it('give the first of several voices, and tell of the others', () => {
    const header = 'X:1\nL:1/8\nV:T1 clef=treble\nV:B1 clef=bass octave=-1\nK:C\n';
    const both = readAbc(`${header}V:T1\nCD|\nV:B1\nEF|\nV:T1\nGA|\n`);
    expect(show(both.tunes[0]!)).toBe('60:12 62:12 | 67:12 69:12 |');
    expect(both.problems).toHaveLength(1);
    expect(both.problems[0]).toMatchObject({ lost: false, line: 8 });
    expect(both.problems[0]!.message).toContain('voice "B1" is left out');
    expect(show(readAbc(`${header}[V:T1]CD|\n[V:B1]E[[F|\n[V:T1]GA|\n`).tunes[0]!)).toBe('60:12 62:12 | 67:12 69:12 |');
    expect(show(readAbc('X:1\nK:C\nV:1\nC|\nV:2\nD|\n').tunes[0]!)).toBe('60:12 |');
    const overlay = readAbc('X:1\nK:C\nC D & E F [2 | G|\n');
    expect(show(overlay.tunes[0]!)).toBe('60:12 62:12 | 67:12 |');
    expect(overlay.problems[0]!.message).toContain('overlaid');
  });

  it('name tune, line and column of what is wrong', () => {
    expect(refusal('CDE H F\nC5/7D')).toBe(
      'abc:6:1: X:1: expected a duration that is a whole number of 1/96 of a whole note, got 5/56 of a whole note',
    );
    expect(refusal('C C9999')).toContain('abc:5:3: X:1: expected a duration of at most 64 whole notes');
    expect(refusal('C C10000')).toContain('expected a note length of numbers from 1 to 9999');
    expect(refusal('C0')).toContain('from 1 to 9999, as');
    expect(refusal('C/0')).toContain('got "/0"');
    expect(refusal('C//3')).toContain('got "//3"');
    expect(refusal('C_=D')).toContain('abc:5:2: X:1: expected one of ^^, ^, =, _ and __');
    expect(refusal('^/C')).toContain('and a note, got "^/C"');
    expect(refusal('C,,,,,,')).toContain('expected a pitch from 0 to 127, got -12');
    expect(refusal('>C')).toContain('expected a note before >');
    expect(refusal('C>>>>D')).toContain('expected one to three');
    expect(refusal('C>|')).toContain('expected a note after broken rhythm');
    expect(refusal('(3C(3DEF')).toContain('abc:5:4: X:1: expected 2 more notes of the tuplet');
    expect(refusal('(10CD')).toContain('q left out for p from 2 to 9, got "(10"');
    expect(refusal('[CE')).toContain('expected a chord of notes closed by ]');
    expect(refusal('[]')).toContain('abc:5:1: X:1: expected a chord');
    expect(refusal('C "Am D')).toContain('abc:5:3: X:1: expected a closing "');
    expect(refusal('{gC')).toContain('expected a closing }');
    expect(refusal('C =')).toContain('and a note');
    expect(refusal('C € D')).toContain('got "€ D"');
    expect(refusal('C : D')).toContain('expected a bar line');
    expect(refusal('C|17D|')).toContain('expected an ending of passes 1 to 16');
    expect(refusal('Z', 'K:C')).toContain('expected a metre for a rest of whole bars');
    expect(refusal('Z999')).toContain('expected a rest of 1 to 256 bars, got 999');
    expect(refusal('|')).toContain('expected notes, got none');
    expect(refusal('C', 'K:H')).toContain('abc:2:3: X:1: expected a key');
    expect(refusal('C', 'K:C mojar')).toContain('got "C mojar"');
    expect(refusal('C', 'M:6/7\nK:C')).toContain('expected a metre');
    expect(refusal('C', 'L:1/3\nK:C')).toContain('expected a unit note length');
    expect(refusal('C', 'T:no key')).toContain('abc:1:3: X:1 "no key": expected a K: field');
    expect(() => readAbcTune('X:1\nK:C\nC\n\nX:2\nK:C\nC\n')).toThrow('expected one tune, got 2');
    expect(() => readAbc('', { accidentals: 'all' as 'not' })).toThrow('expected one of not, octave, pitch, got "all"');
  });
});

describe('hostile ABC', () => {
  const many = 200_000;
  const within = (text: string) => {
    const before = performance.now();
    const result = readAbc(`X:1\nM:4/4\nL:1/8\nK:C\n${text}\n`);
    expect(performance.now() - before).toBeLessThan(3000);
    return result;
  };

  it('is refused in little time and memory', () => {
    expect(within('C1000000000').tunes).toEqual([]);
    expect(within(`C${'9'.repeat(many)}`).tunes).toEqual([]);
    expect(within(`C${'/'.repeat(many)}`).tunes).toEqual([]);
    expect(within(`C${"'".repeat(many)}`).tunes).toEqual([]);
    expect(within('(99:99:99999999C').tunes).toEqual([]);
    expect(within(`(${'9'.repeat(many)}C`).tunes).toEqual([]);
    expect(within('(3'.repeat(many)).tunes).toEqual([]);
    expect(within('Z256|'.repeat(many)).tunes).toEqual([]);
    expect(within('C'.repeat(many)).tunes).toEqual([]);
    expect(within('C'.repeat(2 ** 20 + 1)).problems[0]!.message).toContain(
      'expected a line of at most 1048576 characters',
    );
    expect(within(`C|1-16${'D'.repeat(90_000)}:|`).tunes).toEqual([]);
    expect(within('[A:'.repeat(many)).tunes).toEqual([]);
    expect(within(`C[K:C${' _b'.repeat(many)}]`).tunes).toHaveLength(1);
  });

  it('that is only odd is read in little time', () => {
    for (const unit of ['!', '&', '(', '-', '|y', '[V:2]', '[V:1]', '$', '"a"', '{c}', '!a', '|: :|', '[M:3/4]']) {
      within(`C|${unit.repeat(Math.floor(many / unit.length))}`);
    }
    within('C&|'.repeat(30_000));
    within(`${'C\n'.repeat(30_000)}`);
    const problems = within('C\n\nX:1\nK:C\n?^\n\n'.repeat(3000)).problems;
    expect(problems).toHaveLength(1001);
    expect(problems.at(-1)!.message).toContain('further problems are not told');
  });

  it('of random signs never throws anything but its own error', () => {
    const signs = [
      ...'ABCDEFGabcdefg',
      ...'|:[]()<>-^_=/,\'0123459 zxZ{}"!&%.~\\\n',
      '\n\nX:1\nK:C\n',
      '[K:',
      '[V:',
      '%%',
    ];
    let state = 12345;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    let read = 0;
    for (let run = 0; run < 3000; run++) {
      const text = Array.from({ length: 1 + Math.floor(next() * 30) }, () => signs[Math.floor(next() * signs.length)]);
      const { tunes, problems } = readAbc(`X:1\nL:1/8\nK:C\n${text.join('')}`);
      expect(problems.every(({ message }) => /^abc:\d+:\d+: /.test(message))).toBe(true);
      read += tunes.length;
    }
    expect(read).toBeGreaterThan(100);
  });
});
