// Sampling: tokens per second in one pass (plain, or a distilled model) and in two (guidance), and how they compare.
import { Sampler } from './cfgdistill.mjs';
import { sequences } from './data.mjs';
import { interleave, rate, ratio, repeatedAsync } from './measure.mjs';
import { makeModel, noPrompt, SUBJECTS } from './models.mjs';
import { figure, ranged, table } from './table.mjs';

const SAMPLES = 16; // per prompt, as in the demo's evaluation
const BATCHES = [16, 128, 512];
const GOALS = { 64: 1.7, 256: 1.8 }; // by model width

async function generate(sampler, prompts, answerTokens) {
  let tokens = 0;
  for await (const generation of sampler.generate(prompts, { samplesPerPrompt: SAMPLES, maxTokens: answerTokens })) {
    tokens += generation.tokens.length;
  }
  const expected = prompts.length * SAMPLES * answerTokens;
  if (tokens !== expected) throw new Error(`expected ${expected} tokens, got ${tokens}`);
}

/**
 * @param {{ quick: boolean, onProgress: (what: string) => void }} options
 */
export async function run({ quick, onProgress }) {
  const timing = quick ? { rounds: 5, seconds: 0.1, budget: 5 } : { rounds: 21, seconds: 0.3, budget: 30 };
  const results = [];
  for (const subject of quick ? SUBJECTS.slice(0, 2) : SUBJECTS) {
    const { promptTokens, answerTokens, config } = subject;
    const model = makeModel(subject);
    const sampling = { temperature: 0.99, seed: 1, batchSize: Math.max(...BATCHES) };
    const plain = new Sampler(model, sampling);
    const guided = new Sampler(model, { ...sampling, guidance: { scale: 2, negative: noPrompt(subject) } });
    for (const batch of quick ? BATCHES.slice(0, 2) : BATCHES) {
      onProgress(`${subject.name}, ${batch} rows`);
      const prompts = sequences(batch / SAMPLES, promptTokens, config.vocabularySize, 4);
      const { one, two } = await interleave(
        {
          one: repeatedAsync(() => generate(plain, prompts, answerTokens)),
          two: repeatedAsync(() => generate(guided, prompts, answerTokens)),
        },
        timing,
      );
      const tokens = batch * answerTokens;
      results.push({
        subject: subject.name,
        batch,
        answerTokens,
        rounds: one.length,
        onePassTokensPerSecond: rate(tokens, one),
        twoPassTokensPerSecond: rate(tokens, two),
        onePassOverTwo: ratio(two, one),
        goal: GOALS[config.width] ?? null,
      });
    }
  }
  return { ...timing, results };
}

export function print({ results }) {
  const head = [
    'model',
    'rows',
    'tokens each',
    'rounds',
    'one pass, tokens/s',
    'two passes, tokens/s',
    'one : two (range)',
    'goal',
  ];
  const rows = results.map((r) => [
    r.subject,
    r.batch,
    r.answerTokens,
    r.rounds,
    figure(r.onePassTokensPerSecond.median),
    figure(r.twoPassTokensPerSecond.median),
    ranged(r.onePassOverTwo),
    r.goal === null ? '' : `${r.goal} ${r.onePassOverTwo.median >= r.goal ? 'reached' : 'missed'}`,
  ]);
  return table(head, rows);
}
