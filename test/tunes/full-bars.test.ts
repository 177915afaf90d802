import { Sampler, TransformerLM, ValueError } from 'cfgdistill';
import { countFullBars, FullBars, readTunes, TuneTask, toCommonKey } from 'cfgdistill/tasks/tunes';
import { describe, expect, it } from 'vitest';
import { elementOf, TuneVocabulary } from '../../lib/tasks/tunes/vocabulary.ts';
import { haveLabelledTunes, LABELLED_TUNES } from './scene.ts';

const melody = (text: string) => text.split(' ').map(elementOf);
const vocabulary = TuneVocabulary.of(
  [{ elements: melody('60:6 60:12 62:24 64:36 65:48 R:12 60:8 | || |: :| :: |1 :|2 ||1') }],
  ['a jig'],
);
const bars = new FullBars(vocabulary, ['2/4', '6/8']);

/** Whether a melody is one that may be drawn, to its end. */
function accepts(text: string, meter: string): boolean {
  return bars.automaton.stateAfter(vocabulary.encode(melody(text)), bars.startOf(meter)) !== undefined;
}

describe('FullBars', () => {
  it.each([
    ['62:24 62:24 | 65:48 |', '2/4'],
    ['60:12 | 65:48 | 64:36 |', '2/4'], // an upbeat, and a last bar that lacks it
    ['60:12 | 65:48 | 64:36 || 60:12 | 65:48 | 64:36 :|', '2/4'],
    ['|: 65:48 | 65:48 :| |: 62:24 62:24 :|'.replace(' |: 62', ' 62'), '2/4'],
    ['|: 60:12 | 65:48 |1 64:36 60:12 :|2 65:48 ||', '2/4'],
    ['64:36 64:36 | 62:24 60:12 R:12 60:12 60:12 |', '6/8'],
  ])('takes %s in %s', (text, meter) => {
    expect(accepts(text, meter)).toBe(true);
    const { measures, full } = countFullBars(melody(text), meter);
    expect(full).toBe(measures);
  });

  it.each([
    ['62:24 62:24 | 65:48', '2/4'], // no line at the end
    ['62:24 62:24 | 62:24 | 65:48 |', '2/4'],
    ['65:48 62:24 |', '2/4'],
    ['60:12 | 65:48 | 65:48 | 62:24 |', '2/4'],
    ['60:12 | 65:48 | 64:36 | 65:48 |', '2/4'], // short, and no section ends
    ['| 65:48 |', '2/4'],
    ['65:48 | | 65:48 |', '2/4'],
    ['65:48 |', '6/8'],
  ])('refuses %s in %s', (text, meter) => {
    expect(accepts(text, meter)).toBe(false);
  });

  it('leads nowhere that no note leads out of', () => {
    // After 60:8 nothing fills a bar of 48 but more of them: 8 · 6.
    expect(accepts('60:8 60:8 60:8 60:8 60:8 60:8 |', '2/4')).toBe(true);
    const coarse = new FullBars(TuneVocabulary.of([{ elements: melody('62:24 64:36 |') }], []), ['2/4']);
    const stateOf = (text: string) => {
      const tokens = TuneVocabulary.of([{ elements: melody('62:24 64:36 |') }], []).encode(melody(text));
      return coarse.automaton.stateAfter(tokens.subarray(0, -1), coarse.startOf('2/4'));
    };
    expect(stateOf('62:24 62:24 | 62:24')).toBeDefined();
    expect(stateOf('62:24 62:24 | 64:36')).toBeUndefined();
  });

  it('refuses metres that it cannot keep to', () => {
    expect(() => new FullBars(vocabulary, [''])).toThrow(ValueError);
    expect(() => new FullBars(TuneVocabulary.of([{ elements: melody('64:36 |') }], []), ['2/4'])).toThrow(
      /^meters: no notes of the vocabulary fill a bar of 2\/4/,
    );
    expect(() => bars.startOf('9/8')).toThrow("meter: expected one of 2/4, 6/8, got '9/8'");
  });

  it('keeps a model that knows nothing to full bars, in several metres at once', async () => {
    const model = new TransformerLM(
      { vocabularySize: vocabulary.size, depth: 1, width: 16, heads: 2, maxPositions: 80 },
      { seed: 1 },
    );
    const sampler = new Sampler(model, { stopToken: 0, seed: 1, constraint: bars.automaton });
    const meters = ['2/4', '6/8'];
    const prompts = meters.map(() => vocabulary.words.encode('a jig'));
    const startStates = Int32Array.from(meters, (meter) => bars.startOf(meter));
    let stopped = 0;
    for await (const g of sampler.generate(prompts, { samplesPerPrompt: 40, maxTokens: 60, startStates })) {
      const elements = vocabulary.decode(g.tokens);
      const { measures, full } = countFullBars(elements, meters[g.prompt] as string);
      // The bar that maxTokens broke off may be short.
      expect(full).toBeGreaterThanOrEqual(g.stopped ? measures : measures - 1);
      if (g.stopped) stopped++;
    }
    expect(stopped).toBeGreaterThan(10);
  });
});

it.skipIf(!haveLabelledTunes)(
  'takes nearly every real tune',
  async () => {
    const { tunes } = await readTunes(LABELLED_TUNES);
    const task = new TuneTask({ tunes, seed: 1 });
    const meters = ['2/4', '2/2', '3/4', '4/4', '6/8', '9/8'];
    const real = new FullBars(task.vocabulary, meters);
    const own = tunes.filter(({ meter }) => meters.includes(meter));
    const taken = own.filter((tune) => {
      const tokens = task.vocabulary.encode(toCommonKey(tune).elements);
      return real.automaton.stateAfter(tokens, real.startOf(tune.meter)) !== undefined;
    });
    expect(taken.length / own.length, `${taken.length} of ${own.length} tunes`).toBeGreaterThan(0.8);
  },
  60_000,
);
