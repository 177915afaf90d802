import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { CheckpointError, ValueError } from '../lib/errors.ts';
import { Random } from '../lib/random.ts';
import { readVoicings } from '../lib/tasks/chords/dataset.ts';
import {
  type ChordPrompt,
  ChordTask,
  KEYS,
  loadChordDatabase,
  normaliseKey,
  stringDifference,
  TUNINGS,
} from '../lib/tasks/chords/index.ts';
import { splitPrompts } from '../lib/tasks/chords/split.ts';
import { ChordVocabulary, pitchToken, relativePitch } from '../lib/tasks/chords/tokens.ts';
import { extendAlongNeck } from '../lib/tasks/chords/training.ts';
import { distinctItems, itemId, secondView } from '../lib/tasks/chords/views.ts';

const require = createRequire(import.meta.url);
const OPEN = { guitar: [40, 45, 50, 55, 59, 64], ukulele: [67, 60, 64, 69] };
const guitar = (key: string, suffix = 'major'): ChordPrompt => ({ instrument: 'guitar', key, suffix });
const ukulele = (key: string, suffix = 'major'): ChordPrompt => ({ instrument: 'ukulele', key, suffix });
const id = (p: ChordPrompt) => `${p.instrument}|${p.key}|${p.suffix}`;
const task = new ChordTask({ seed: 1 });
const clean = new ChordTask({ seed: 1, captionNoise: 0 });
const database = loadChordDatabase();

interface RawChord {
  key: string;
  suffix: string;
  positions: { frets: number[]; baseFret: number; midi: number[] }[];
}
/** The package's files as they are, without the library. */
const raw = (['guitar', 'ukulele'] as const).flatMap((instrument) => {
  const path = require.resolve(`@tombatossals/chords-db/lib/${instrument}.json`);
  const content = JSON.parse(readFileSync(path, 'utf8')) as { chords: Record<string, RawChord[]> };
  return Object.values(content.chords)
    .flat()
    .map((chord) => ({ instrument, ...chord }));
});

describe('the chord database', () => {
  it('has the known size: 1,033 prompts over 47 suffixes, all of whose voicings end by fret 15', () => {
    const kept = raw.filter(({ suffix }) => !suffix.includes('/'));
    expect(database.voicings).toHaveLength(kept.flatMap(({ positions }) => positions).length);
    expect(database.prompts).toHaveLength(kept.length);
    expect(database.prompts).toHaveLength(1033);
    expect(database.suffixes).toHaveLength(47);
    expect(Math.max(...database.voicings.flatMap(({ frets }) => frets))).toBe(15);
    expect(new Set(database.prompts.map(({ key }) => key))).toEqual(new Set(KEYS));
    expect(new Set(database.prompts.map(id)).size).toBe(1033);
  });

  it('agrees with the pitches that the package states, voicing by voicing', () => {
    const keys: Record<string, string> = { Csharp: 'C#', Fsharp: 'F#', Db: 'C#', Gb: 'F#' };
    const stated = new Map<string, string[]>();
    for (const { instrument, key, suffix, positions } of raw) {
      if (suffix.includes('/')) continue;
      const prompt = `${instrument}|${keys[key] ?? key}|${suffix}`;
      stated.set(prompt, [...(stated.get(prompt) ?? []), ...positions.map(({ midi }) => midi.join())]);
    }
    const ours = new Map<string, string[]>();
    for (const { prompt, frets } of database.voicings) {
      const pitches = frets.flatMap((fret, s) => (fret < 0 ? [] : [fret + OPEN[prompt.instrument][s]!]));
      ours.set(id(prompt), [...(ours.get(id(prompt)) ?? []), pitches.join()]);
    }
    expect(ours).toEqual(stated);
  });

  it('contains the chords every beginner knows', () => {
    const has = (prompt: ChordPrompt, frets: number[]) =>
      database.voicings.some((v) => id(v.prompt) === id(prompt) && v.frets.join() === frets.join());
    expect(has(guitar('C'), [-1, 3, 2, 0, 1, 0])).toBe(true);
    expect(has(guitar('G'), [3, 2, 0, 0, 0, 3])).toBe(true);
    expect(has(guitar('F'), [1, 3, 3, 2, 1, 1])).toBe(true);
    expect(has(ukulele('C'), [0, 0, 0, 3])).toBe(true);
    expect(has(ukulele('C#'), [1, 1, 1, 4])).toBe(true);
  });

  it('spells keys one way', () => {
    expect(['Csharp', 'Db', 'Fsharp', 'Gb', 'G#', 'Bb'].map(normaliseKey)).toEqual([
      'C#',
      'C#',
      'F#',
      'F#',
      'Ab',
      'Bb',
    ]);
    expect(() => normaliseKey('H')).toThrow(ValueError);
  });

  const content = (chord: unknown) => ({ chords: { C: [chord] } });
  const position = { frets: [0, 0, 0, 3], baseFret: 1, midi: [67, 60, 64, 72] };
  it('leaves out slash chords, voicings above fret 15 and repetitions', () => {
    const high = { frets: [1, 1, 1, 4], baseFret: 13, midi: [80, 73, 77, 85] };
    const read = (suffix: string) =>
      readVoicings('ukulele', content({ key: 'C', suffix, positions: [position, high, position] }), 'u.json');
    expect(read('major')).toEqual([{ prompt: ukulele('C'), frets: [0, 0, 0, 3] }]);
    expect(read('/E')).toEqual([]);
    expect(read('m/E')).toEqual([]);
  });

  it.each([
    ['pitches that contradict the frets', { ...position, midi: [67, 60, 64, 71] }, /u\.json: .*midi: expected .*72/],
    ['a missing pitch', { ...position, midi: [67, 60, 64] }, /midi/],
    ['too few strings', { ...position, frets: [0, 0, 0] }, /frets: expected 4 integers/],
    ['a fret below -1', { ...position, frets: [0, 0, 0, -2] }, /frets/],
    ['no base fret', { ...position, baseFret: undefined }, /baseFret: expected an integer >= 1/],
    ['no object', 3, /expected an object/],
  ])('refuses %s', (_, bad, message) => {
    const read = () => readVoicings('ukulele', content({ key: 'C', suffix: 'major', positions: [bad] }), 'u.json');
    expect(read).toThrow(CheckpointError);
    expect(read).toThrow(message);
  });

  it('refuses an unknown key and content of another form', () => {
    const key = () => readVoicings('ukulele', content({ key: 'H', suffix: 'major', positions: [position] }), 'u.json');
    expect(key).toThrow(/u\.json: chords\.C\[0\]\.key: expected one of C C#.*got "H"/);
    expect(() => readVoicings('ukulele', [], 'u.json')).toThrow(CheckpointError);
    expect(() => readVoicings('ukulele', { chords: { C: 1 } }, 'u.json')).toThrow(/chords\.C: expected an array/);
    expect(() => readVoicings('ukulele', content({ key: 'C' }), 'u.json')).toThrow(CheckpointError);
  });
});

describe('the split', () => {
  it('holds out an eighth of the prompts: 129, none of them in training', () => {
    expect(task.heldOutPrompts).toHaveLength(129);
    expect(task.trainingPrompts).toHaveLength(1033 - 129);
    const all = [...task.heldOutPrompts, ...task.trainingPrompts].map(id);
    expect(new Set(all)).toEqual(new Set(database.prompts.map(id)));
    expect(all).toHaveLength(1033);
  });

  it('follows from the seed', () => {
    const again = new ChordTask({ seed: 1 });
    expect(again.heldOutPrompts).toEqual(task.heldOutPrompts);
    expect(again.trainingRows).toEqual(task.trainingRows);
    const other = new ChordTask({ seed: 2 });
    expect(other.heldOutPrompts).toHaveLength(129);
    expect(other.heldOutPrompts).not.toEqual(task.heldOutPrompts);
    // The split does not hang on the noise.
    expect(clean.heldOutPrompts).toEqual(task.heldOutPrompts);
  });

  it('draws every prompt equally often', () => {
    const prompts = database.prompts.filter(({ instrument, key }) => instrument === 'guitar' && key <= 'D');
    const counts = new Map(prompts.map((prompt) => [prompt, 0]));
    const trials = 400;
    for (let seed = 0; seed < trials; seed++) {
      for (const p of splitPrompts(prompts, 0.25, new Random(seed)).heldOut) counts.set(p, counts.get(p)! + 1);
    }
    const wholes = [...counts].filter(([prompt]) => prompt.suffix !== '7sg').map(([, count]) => count);
    expect(Math.max(...wholes)).toBeLessThan(trials * 0.25 + 5 * Math.sqrt(trials * 0.1875));
    expect(Math.min(...wholes)).toBeGreaterThan(trials * 0.25 - 5 * Math.sqrt(trials * 0.1875));
  });

  it('never takes the last prompt with an instrument, a key or a suffix out of training', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { training, heldOut } = splitPrompts(database.prompts, 0.9, new Random(seed));
      expect(heldOut).toHaveLength(Math.round(0.9 * 1033));
      expect(new Set(training.map(({ suffix }) => suffix)).size).toBe(47);
      expect(new Set(training.map(({ key }) => key)).size).toBe(12);
      expect(new Set(training.map(({ instrument }) => instrument)).size).toBe(2);
    }
    expect(() => splitPrompts(database.prompts, 0.99, new Random(0))).toThrow(
      /leaves every instrument, key and suffix/,
    );
  });

  it('refuses a share outside [0, 1)', () => {
    for (const heldOutShare of [-0.1, 1, Number.NaN]) {
      expect(() => new ChordTask({ seed: 1, heldOutShare })).toThrow(/heldOutShare: expected a number in \[0, 1\)/);
    }
    const none = new ChordTask({ seed: 1, heldOutShare: 0 });
    expect(none.heldOutPrompts).toHaveLength(0);
    expect(none.heldOutItems).toHaveLength(0);
  });
});

describe('training rows', () => {
  const held = new Set(task.heldOutPrompts.map((p) => task.encodePrompt(p).join()));
  const training = new Set(task.trainingPrompts.map((p) => task.encodePrompt(p).join()));

  it('never show a held-out prompt, neither as a caption, replaced or not, nor as where a shift leads', () => {
    expect(held.size).toBe(129);
    for (const row of [...task.trainingRows, ...clean.trainingRows]) {
      expect(held.has(row.prompt.join())).toBe(false);
      expect(training.has(row.prompt.join())).toBe(true);
      expect(held.has(task.encodePrompt(row.source).join())).toBe(false);
    }
  });

  it('are the database rows of training prompts and their shifts, each once, built here independently', () => {
    const names = [...KEYS] as string[];
    const promptIds = new Set(task.trainingPrompts.map(id));
    const expected = new Set<string>();
    for (const { prompt, frets } of database.voicings) {
      if (!promptIds.has(id(prompt))) continue;
      expected.add(`${id(prompt)}|${frets.join()}`);
      if (frets.some((fret) => fret === 0)) continue;
      const sounding = frets.filter((fret) => fret > 0);
      for (let shift = -6; shift <= 6; shift++) {
        if (Math.min(...sounding) + shift < 1 || Math.max(...sounding) + shift > 15) continue;
        const key = names[(names.indexOf(prompt.key) + shift + 12) % 12]!;
        const target = id({ ...prompt, key });
        if (promptIds.has(target)) expected.add(`${target}|${frets.map((f) => (f < 0 ? f : f + shift)).join()}`);
      }
    }
    const rows = clean.trainingRows.map((row) => `${id(row.source)}|${task.toFrets(row.source, row.answer).join()}`);
    expect(rows).toHaveLength(expected.size);
    expect(new Set(rows)).toEqual(expected);
    const own = database.voicings.filter(({ prompt }) => promptIds.has(id(prompt))).length;
    expect(rows.length).toBeGreaterThan(1.5 * own);
  });

  it('move a shape with its key: the F barre chord up two frets is G', () => {
    const voicing = { prompt: guitar('F'), frets: [1, 3, 3, 2, 1, 1] };
    const rows = extendAlongNeck([voicing], [guitar('F'), guitar('G'), guitar('B')]);
    expect(rows).toEqual([
      voicing,
      { prompt: guitar('G'), frets: [3, 5, 5, 4, 3, 3] },
      { prompt: guitar('B'), frets: [7, 9, 9, 8, 7, 7] },
    ]);
    const open = { prompt: guitar('E'), frets: [0, 2, 2, 1, 0, 0] };
    expect(extendAlongNeck([open], [guitar('E'), guitar('F')])).toEqual([open]);
    expect(extendAlongNeck([voicing], [guitar('E')])).toEqual([]);
  });

  it('have a prompt of three tokens and an answer that ends with the only stop token', () => {
    for (const { prompt, answer, source } of task.trainingRows) {
      expect(prompt).toHaveLength(3);
      expect(answer).toHaveLength(TUNINGS[source.instrument].length + 1);
      expect(answer.indexOf(task.stopToken)).toBe(answer.length - 1);
    }
  });

  it('are corrupted as often as asked, within five standard deviations, and where they say so', () => {
    const rows = task.trainingRows;
    const n = rows.length;
    expect(Math.abs(task.corruptedRows - 0.35 * n)).toBeLessThan(5 * Math.sqrt(n * 0.35 * 0.65));
    const wrong = rows.filter((row) => row.prompt.join() !== task.encodePrompt(row.source).join());
    expect(wrong).toHaveLength(task.corruptedRows);
    expect(wrong.every((row) => row.corrupted)).toBe(true);
    expect(rows.map(({ answer }) => answer)).toEqual(clean.trainingRows.map(({ answer }) => answer));
    expect(clean.corruptedRows).toBe(0);
    const noise = new ChordTask({ seed: 1, captionNoise: 1 });
    expect(noise.corruptedRows).toBe(n);
  });

  it('take their false captions in proportion to the rows of each instrument', () => {
    const guitarToken = task.encodePrompt(guitar('C'))[0];
    const share = (rows: readonly { prompt: Int32Array }[]) =>
      rows.filter(({ prompt }) => prompt[0] === guitarToken).length / rows.length;
    const corrupted = task.trainingRows.filter((row) => row.corrupted);
    expect(Math.abs(share(corrupted) - share(clean.trainingRows))).toBeLessThan(5 * Math.sqrt(0.25 / corrupted.length));
  });

  it('refuse a noise outside [0, 1]', () => {
    for (const captionNoise of [-0.01, 1.01, Number.NaN]) {
      expect(() => new ChordTask({ seed: 1, captionNoise })).toThrow(
        /captionNoise: expected a number in \[0, 1\], got/,
      );
    }
    expect(() => new ChordTask({ seed: -1 })).toThrow(/seed/);
  });
});

describe('tokens', () => {
  it('code every voicing of the database and back', () => {
    for (const { prompt, frets } of database.voicings) {
      expect(task.toFrets(prompt, task.encodeFrets(prompt, frets))).toEqual(frets);
    }
  });

  it('cover every fret of every string in every key, and nothing else', () => {
    const used = new Set<number>();
    for (const instrument of ['guitar', 'ukulele'] as const) {
      for (const key of KEYS) {
        const strings = OPEN[instrument].length;
        for (let fret = 0; fret <= 15; fret++) {
          const frets = new Array<number>(strings).fill(fret);
          const prompt = { instrument, key, suffix: 'major' };
          const answer = task.encodeFrets(prompt, frets);
          expect(task.toFrets(prompt, answer)).toEqual(frets);
          for (const token of answer.subarray(0, strings)) used.add(token);
        }
      }
    }
    // Stop and muted are the two answer tokens that are no pitch.
    expect(used.size).toBe(task.answerTokens - 2);
    expect(used.has(task.stopToken)).toBe(false);
  });

  it('are MIDI pitch minus 36 and the pitch class of the key', () => {
    const answer = task.encodeFrets(guitar('D'), [-1, -1, 0, 2, 3, 2]);
    expect([...answer].map(relativePitch)).toEqual([undefined, undefined, 12, 19, 24, 28, undefined]);
    expect(pitchToken(-8)).toBeUndefined();
    expect(pitchToken(-7)).toBe(2);
    expect(pitchToken(48)).toBe(task.answerTokens - 1);
    expect(pitchToken(49)).toBeUndefined();
    // One shape in two keys has the same tokens.
    expect(task.encodeFrets(guitar('G'), [3, 5, 5, 4, 3, 3])).toEqual(
      task.encodeFrets(guitar('F'), [1, 3, 3, 2, 1, 1]),
    );
  });

  it('of prompts, of slots and of answers are disjoint, distinct and fill the vocabulary', () => {
    const slots = [new Set<number>(), new Set<number>(), new Set<number>()];
    for (const prompt of [...database.prompts.map((p) => task.encodePrompt(p)), task.noPrompt]) {
      expect(prompt).toHaveLength(3);
      for (const [slot, token] of prompt.entries()) slots[slot]!.add(token);
    }
    expect(slots.map((slot) => slot.size)).toEqual([3, 13, 48]);
    const all = slots.flatMap((slot) => [...slot]).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 64 }, (_, index) => task.answerTokens + index));
    expect(task.vocabularySize).toBe(task.answerTokens + 64);
    expect(new Set(database.prompts.map((p) => task.encodePrompt(p).join())).size).toBe(1033);
    expect(task.maxTokens).toBe(7);
  });

  it('of a generation become -2 where no fret gives them', () => {
    const pitch = (relative: number) => pitchToken(relative)!;
    const cases: [ChordPrompt, number[], number[]][] = [
      [guitar('E'), [pitch(0), pitch(-1)], [0, -2]], // MIDI 40 on the low E string; 39 on the A string
      [guitar('C'), [pitch(19), pitch(20)], [15, 11]], // MIDI 55 on E2, 56 on A2
      [guitar('C'), [pitch(20)], [-2]],
      [guitar('C'), [pitch(3)], [-2]],
      [ukulele('C'), [pitch(31), pitch(24), pitch(28), pitch(36), 1, pitch(30)], [0, 0, 0, 3, -2, -2]],
      [guitar('C'), [task.noPrompt[0]!, task.vocabularySize - 1, 1], [-2, -2, -1]],
      [guitar('C'), [0, 1, 1], []],
      [guitar('C'), [1, 1, 0, 1], [-1, -1]],
      [guitar('C'), [], []],
      [guitar('C'), [1, 1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, -1, -1, -2]],
    ];
    for (const [prompt, tokens, frets] of cases) expect(task.toFrets(prompt, Int32Array.from(tokens))).toEqual(frets);
  });

  it('refuse what is unknown', () => {
    const banjo = { ...guitar('C'), instrument: 'banjo' } as unknown as ChordPrompt;
    expect(() => task.encodePrompt(banjo)).toThrow('instrument: expected one of guitar ukulele, got "banjo"');
    expect(() => task.encodePrompt(guitar('Db'))).toThrow(/^key: expected one of C C# .*, got "Db"$/);
    expect(() => task.encodePrompt(guitar('C', 'power'))).toThrow(/^suffix: expected one of .* got "power"$/);
    for (const bad of [banjo, guitar('H'), guitar('C', 'power')]) {
      expect(() => task.encodePrompt(bad)).toThrow(ValueError);
      expect(() => task.toFrets(bad, new Int32Array(1))).toThrow(ValueError);
      expect(() => task.isValid(bad, [0, 0, 0, 0, 0, 0])).toThrow(ValueError);
    }
    expect(() => task.toFrets(guitar('C'), Int32Array.of(-1))).toThrow(
      /generation\[0\]: expected a token in \[0, 122\)/,
    );
    expect(() => task.toFrets(guitar('C'), Int32Array.of(1, task.vocabularySize))).toThrow(/generation\[1\]/);
    expect(() => task.encodeFrets(guitar('C'), [0, 0, 0, 0])).toThrow('frets: expected 6 strings, got 4');
    for (const fret of [-2, 16, 0.5])
      expect(() => task.encodeFrets(ukulele('C'), [0, 0, 0, fret])).toThrow(/frets\[3\]/);
  });
});

describe('validity', () => {
  it('knows the tones of common chords', () => {
    expect(task.chordTones('major')).toEqual([0, 4, 7]);
    expect(task.coreTones('major')).toEqual([0, 4, 7]);
    expect(task.chordTones('minor')).toEqual([0, 3, 7]);
    expect(task.chordTones('dim7')).toEqual([0, 3, 6, 9]);
    expect(task.chordTones('7')).toEqual([0, 4, 7, 10]);
    expect(task.chordTones('maj7')).toEqual([0, 4, 7, 11]);
    // Four strings cannot sound all of a ninth chord: its root and fifth may be missing.
    expect(task.chordTones('9')).toEqual([0, 2, 4, 7, 10]);
    expect(task.coreTones('9')).toEqual([2, 4, 10]);
    expect(() => task.chordTones('power')).toThrow(ValueError);
    expect(() => task.coreTones('power')).toThrow(ValueError);
  });

  it('agrees with tones counted straight from the package, for every suffix', () => {
    const names = ['C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'];
    const roots: Record<string, number> = { ...Object.fromEntries(names.map((n, i) => [n, i])), Db: 1, Gb: 6 };
    for (const suffix of database.suffixes) {
      const chords = raw
        .filter((chord) => chord.suffix === suffix)
        .flatMap(({ key, positions }) => positions.map(({ midi }) => midi.map((m) => (m - roots[key]! + 120) % 12)));
      const share = (interval: number) => chords.filter((tones) => tones.includes(interval)).length / chords.length;
      const all = Array.from({ length: 12 }, (_, interval) => interval);
      expect(task.chordTones(suffix)).toEqual(all.filter((interval) => share(interval) >= 0.3));
      expect(task.coreTones(suffix)).toEqual(all.filter((interval) => share(interval) >= 0.9));
    }
  });

  it.each([
    ['C major, open', guitar('C'), [-1, 3, 2, 0, 1, 0], true],
    ['C major, as a barre', guitar('C'), [8, 10, 10, 9, 8, 8], true],
    ['a first inversion: any chord tone may be lowest', guitar('C'), [0, 3, 2, 0, 1, 0], true],
    ['another key', guitar('D'), [-1, 3, 2, 0, 1, 0], false],
    ['another kind of chord', guitar('C', 'minor'), [-1, 3, 2, 0, 1, 0], false],
    ['a note that is no chord tone', guitar('C'), [-1, 3, 2, 0, 1, 1], false],
    ['a core tone missing', guitar('C'), [-1, 3, -1, 0, 1, -1], false],
    ['too few strings', guitar('C'), [-1, 3, 2, 0, 1], false],
    ['too many strings', guitar('C'), [-1, 3, 2, 0, 1, 0, 0], false],
    ['no strings', guitar('C'), [], false],
    ['a string that cannot be played', guitar('C'), [-2, 3, 2, 0, 1, 0], false],
    ['all strings muted', guitar('C'), [-1, -1, -1, -1, -1, -1], false],
    ['a span of 4 frets', ukulele('C'), [0, 4, 8, 7], true],
    ['the same notes over a span of 5 frets', ukulele('C'), [0, 4, 8, 3], false],
    ['a span of 7 frets', guitar('C'), [8, 3, 2, 0, 1, 0], false],
    ['open strings do not count in the span', guitar('C'), [8, 10, 10, 0, 8, 0], true],
    ['fret 15', ukulele('C'), [12, 12, 12, 15], true],
    ['fret 16', ukulele('C#'), [13, 13, 13, 16], false],
    ['a ninth chord without its root', guitar('C', '9'), [-1, -1, 2, 3, 3, 3], true],
  ] as const)('%s', (_, prompt, frets, valid) => {
    expect(task.isValid(prompt, frets)).toBe(valid);
  });

  it('holds for nearly all of the database itself', () => {
    const valid = database.voicings.filter(({ prompt, frets }) => task.isValid(prompt, frets)).length;
    expect(valid / database.voicings.length).toBeGreaterThan(0.95);
    expect(valid).toBeLessThan(database.voicings.length);
  });

  it('refuses frets that are no integers', () => {
    expect(() => task.isValid(guitar('C'), [-1, 3, 2.5, 0, 1, 0])).toThrow('frets[2]: expected an integer, got 2.5');
    expect(() => task.isValid(guitar('C'), [Number.NaN, 3, 2, 0, 1, 0])).toThrow(ValueError);
  });
});

describe('stringDifference', () => {
  it.each([
    [[1, 2, 3, 4], [1, 2, 3, 4], 0],
    [[1, 2, 3, 4], [1, 2, 3, 5], 0.25],
    [[1, 2, 3, 4], [4, 3, 2, 1], 1],
    [[1, 2, 3, 4], [1, 2], 0.5],
    [[1, 2], [1, 2, 3, 4, 5, 6], 4 / 6],
    [[], [1, 2], 1],
    [[], [], 0],
    [[-1, -2], [-2, -2], 0.5],
  ])('of %j and %j is %d', (a, b, expected) => {
    expect(stringDifference(a, b)).toBe(expected);
    expect(stringDifference(b, a)).toBe(expected);
    expect(task.stringDifference(a, b)).toBe(expected);
  });
});

describe('items and views for the embedder', () => {
  it('count a shape moved with its root once, also across the octave and from an open string', () => {
    const shapes = [
      { prompt: guitar('E'), frets: [0, 2, 2, 1, 0, 0] },
      { prompt: guitar('F'), frets: [1, 3, 3, 2, 1, 1] },
      { prompt: guitar('B'), frets: [7, 9, 9, 8, 7, 7] },
      { prompt: guitar('C'), frets: [8, 10, 10, 9, 8, 8] },
      { prompt: guitar('C'), frets: [-1, 3, 2, 0, 1, 0] },
    ];
    const b = task.encodeFrets(shapes[2]!.prompt, shapes[2]!.frets);
    const c = task.encodeFrets(shapes[3]!.prompt, shapes[3]!.frets);
    expect(b).not.toEqual(c); // the root starts an octave lower at C
    expect(itemId(b)).toBe(itemId(c));
    const vocabulary = new ChordVocabulary(database.suffixes);
    const items = distinctItems(shapes, vocabulary);
    expect(items.map(({ prompt }) => prompt.key)).toEqual(['E', 'C']);
    expect(distinctItems(shapes, vocabulary, [items[0]!]).map(({ prompt }) => prompt.key)).toEqual(['C']);
    expect(itemId(secondView(b, new Random(0)))).not.toBe(itemId(b));
  });

  // Independent of the library's own identity: differences between strings, and the lowest pitch within its octave.
  const identity = (prompt: ChordPrompt, answer: Int32Array) => {
    const root = KEYS.indexOf(prompt.key as (typeof KEYS)[number]);
    const frets = task.toFrets(prompt, answer);
    const pitches = frets.map((fret, s) => (fret < 0 ? undefined : OPEN[prompt.instrument][s]! + fret - root));
    const low = Math.min(...pitches.filter((pitch) => pitch !== undefined));
    return `${(low + 120) % 12}:${pitches.map((pitch) => (pitch === undefined ? 'x' : pitch - low)).join()}`;
  };

  it('cover the training voicings, and hold out what no training voicing equals', () => {
    const items = new Set(task.embedderItems.map(({ prompt, answer }) => identity(prompt, answer)));
    expect(items.size).toBe(task.embedderItems.length);
    const held = new Set(task.heldOutPrompts.map(id));
    const expected = new Set(
      database.voicings
        .filter(({ prompt }) => !held.has(id(prompt)))
        .map(({ prompt, frets }) => identity(prompt, task.encodeFrets(prompt, frets))),
    );
    expect(items).toEqual(expected);
    expect(task.embedderItems.every(({ prompt }) => !held.has(id(prompt)))).toBe(true);

    const heldItems = task.heldOutItems.map(({ prompt, answer }) => identity(prompt, answer));
    expect(new Set(heldItems).size).toBe(heldItems.length);
    expect(heldItems.filter((item) => items.has(item))).toEqual([]);
    expect(task.heldOutItems.every(({ prompt }) => held.has(id(prompt)))).toBe(true);
    expect(heldItems.length).toBeGreaterThan(20);
  });

  it('are seen again moved by one fret over the same root, or with one string muted, inside the vocabulary', () => {
    const random = new Random(8);
    const seen = { up: 0, down: 0, muted: 0 };
    for (let round = 0; round < 4; round++) {
      for (const item of [...task.embedderItems, ...task.heldOutItems]) {
        const before = item.answer.slice();
        const view = task.view(item, random);
        expect(item.answer).toEqual(before);
        expect(view).toHaveLength(item.answer.length);
        expect(view[view.length - 1]).toBe(task.stopToken);
        expect(view.every((token) => token >= 0 && token < task.answerTokens)).toBe(true);
        const changes = [...view.keys()].filter((at) => view[at] !== item.answer[at]);
        const sounding = [...view.keys()].filter((at) => item.answer[at]! > 1);
        if (changes.some((at) => view[at] === 1)) {
          expect(changes).toHaveLength(1);
          expect([...view].some((token) => token > 1)).toBe(true);
          seen.muted++;
        } else {
          const steps = new Set(changes.map((at) => view[at]! - item.answer[at]!));
          expect(changes).toEqual(sounding);
          expect(steps.size).toBe(1);
          expect([1, -1]).toContain([...steps][0]);
          if (steps.has(1)) seen.up++;
          else seen.down++;
        }
      }
    }
    const views = seen.up + seen.down + seen.muted;
    const spread = 5 * Math.sqrt(views / 4);
    expect(Math.abs(seen.muted - views / 2)).toBeLessThan(spread);
    expect(Math.abs(seen.up - views / 4)).toBeLessThan(spread);
  });

  it('stay in the vocabulary at its ends, and never fall silent', () => {
    const lowest = Int32Array.of(pitchToken(-7)!, 1, 0);
    const highest = Int32Array.of(1, pitchToken(48)!, 0);
    for (let seed = 0; seed < 30; seed++) {
      expect([...secondView(lowest, new Random(seed))]).toEqual([pitchToken(-6), 1, 0]);
      expect([...secondView(highest, new Random(seed))]).toEqual([1, pitchToken(47), 0]);
    }
    expect(() => secondView(Int32Array.of(1, 1, 0), new Random(0))).toThrow(/item: expected a voicing in which/);
  });

  it('repeat with the seed', () => {
    const views = (seed: number) => {
      const random = new Random(seed);
      return task.embedderItems.slice(0, 50).map((item) => task.view(item, random));
    };
    expect(views(1)).toEqual(views(1));
    expect(views(1)).not.toEqual(views(2));
  });
});
