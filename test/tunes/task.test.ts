import { ValueError } from 'cfgdistill';
import { readAbc, TuneTask, writeAbc } from 'cfgdistill/tasks/tunes';
import { describe, expect, it } from 'vitest';

const ABC = `X:1
T:One
R:jig
M:6/8
L:1/8
K:D
|:d2A AFA|d3 dcB:|

X:2
T:Two
R:reel
M:4/4
L:1/8
K:Am
A2 cA e2 cA|B2 GB d4|]

X:3
T:Three
R:jig
M:6/8
L:1/8
K:G
g3 d3|B3 G3|

X:4
T:Four
R:air
M:3/4
L:1/4
K:C
c e g|e3|
`;

const tunes = readAbc(ABC).tunes.map((tune, i) => ({
  ...tune,
  split: i === 3 ? ('validation' as const) : ('train' as const),
}));

describe('TuneTask', () => {
  const task = new TuneTask({ tunes, seed: 1, keysPerTune: 2 });

  it('learns each tune in its own key and in others of its mode', () => {
    expect(task.trainingRows.map(({ text }) => text)).toEqual([
      'a jig in 6/8, D major',
      'a jig in 6/8, G major',
      'a reel in 4/4, A minor',
      'a jig in 6/8, G major',
      'a jig in 6/8, D major',
    ]);
    const [own, other] = task.trainingRows;
    expect(own?.tokens).toEqual(other?.tokens);
    expect(own?.prompt).not.toEqual(other?.prompt);
  });

  it('holds out tunes, not words: those that training has not seen are unknown', () => {
    expect(task.heldOutRows.map(({ text }) => text)).toEqual(['an air in 3/4, C major']);
    const { unknown } = task.vocabulary.words;
    expect([...(task.heldOutRows[0]?.prompt ?? [])].filter((id) => id === unknown)).toHaveLength(4);
    expect(task.trainingPrompts).toHaveLength(3);
  });

  it('gives back tunes in the key that the prompt asks for', () => {
    for (const [i, tune] of tunes.entries()) {
      const row = [...task.trainingRows, ...task.heldOutRows].find(({ id }) => id === tune.id);
      const again = task.tuneOf(row?.text ?? '', row?.tokens ?? []);
      expect(again.elements, `tune ${i}`).toEqual(tune.elements);
      expect([again.key, again.mode, again.meter]).toEqual([tune.key, tune.mode, tune.meter]);
    }
    const inG = task.tuneOf('a jig in 6/8, G major', task.trainingRows[0]?.tokens ?? []);
    expect(writeAbc(inG)).toContain('K:G');
  });

  it('takes a prompt that says nothing of the music', () => {
    const tune = task.tuneOf('something nice', task.trainingRows[2]?.tokens ?? []);
    expect([tune.key, tune.mode, tune.meter]).toEqual(['C', 'major', '']);
  });

  it('cuts what is too long', () => {
    const short = new TuneTask({ tunes, seed: 1, maxTokens: 5 });
    for (const { tokens } of short.trainingRows) expect(tokens.length).toBeLessThanOrEqual(5);
  });

  it('is decided by the seed', () => {
    const rows = (seed: number) => new TuneTask({ tunes, seed, keysPerTune: 2 }).trainingRows.map(({ text }) => text);
    expect(rows(1)).toEqual(task.trainingRows.map(({ text }) => text));
  });

  it('refuses what it cannot learn from', () => {
    expect(() => new TuneTask({ tunes: tunes.slice(3), seed: 1 })).toThrow(/^tunes: expected some for training/);
    expect(() => new TuneTask({ tunes, seed: 1, maxTokens: 0 })).toThrow(ValueError);
  });
});
