// Training steps: next-token training and distillation, in tokens per second.
import { BaseTrainer, EncoderEmbedder, SequenceEncoder, Trainer } from './cfgdistill.mjs';
import { sequences } from './data.mjs';
import { CHORD_RECIPE } from './internals.mjs';
import { interleave, rate, repeatedAsync, spread } from './measure.mjs';
import { forwardFlops, makeModel, noPrompt, SUBJECTS } from './models.mjs';
import { duration, figure, ranged, table } from './table.mjs';
import { printProfile, profileSteps } from './training-profile.mjs';

const STEPS = 2 ** 40; // more than will ever be run
const optimizer = { learningRate: 1e-4 };

async function step(steps) {
  const { done } = await steps.next();
  if (done) throw new Error('the trainer ended before the benchmark did');
}

function baseCase(subject) {
  const { promptTokens, answerTokens, trainingRows, config } = subject;
  const prompts = sequences(trainingRows, promptTokens, config.vocabularySize, 1);
  const answers = sequences(trainingRows, answerTokens, config.vocabularySize, 2);
  const trainer = new BaseTrainer({
    model: makeModel(subject),
    rows: prompts.map((prompt, i) => ({ prompt, tokens: answers[i] })),
    noPrompt: noPrompt(subject),
    batchSize: trainingRows,
    optimizer,
  });
  const steps = trainer.run({ steps: STEPS });
  const positions = promptTokens + answerTokens;
  return {
    subject: subject.name,
    step: 'next token',
    batch: `${trainingRows} × ${positions}`,
    tokens: trainingRows * positions,
    // The last token is predicted and not read; a backward pass is two forward ones.
    flops: 3 * trainingRows * (positions - 1) * forwardFlops(subject, positions - 1),
    once: () => step(steps),
    case: repeatedAsync(() => step(steps)),
  };
}

function distillationCase(subject, beta) {
  const { promptTokens, answerTokens, config, distill } = subject;
  const { promptsPerStep, samplesPerPrompt } = distill;
  const { depth, width, heads, dimensions } = CHORD_RECIPE.embedder;
  const encoder = () =>
    new SequenceEncoder({
      vocabularySize: config.vocabularySize,
      depth,
      width,
      heads,
      dimensions,
      maxPositions: answerTokens,
    });
  const base = makeModel(subject);
  const trainer = new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale: 2, negative: noPrompt(subject) } },
    ...(beta > 0 && { diversity: { embedder: new EncoderEmbedder(encoder()), weight: beta } }),
    promptsPerStep,
    samplesPerPrompt,
    maxTokens: answerTokens,
    optimizer,
  });
  const steps = trainer.run(sequences(promptsPerStep, promptTokens, config.vocabularySize, 3), { steps: STEPS });
  const rows = promptsPerStep * samplesPerPrompt;
  return {
    subject: subject.name,
    step: beta > 0 ? `distillation, β = ${beta}, embedder` : 'distillation, β = 0',
    batch: `${promptsPerStep} · ${samplesPerPrompt} × ${answerTokens}`,
    tokens: rows * answerTokens,
    case: repeatedAsync(() => step(steps)),
  };
}

/**
 * @param {{ quick: boolean, onProgress: (what: string) => void }} options
 */
export async function run({ quick, onProgress }) {
  const timing = quick ? { rounds: 5, seconds: 0.05, budget: 20 } : { rounds: 9, seconds: 0.5, budget: 120 };
  onProgress('training steps');
  const subjects = quick ? SUBJECTS.slice(0, 2) : SUBJECTS;
  const entries = [
    ...subjects.map(baseCase),
    distillationCase(subjects[0], 1),
    ...subjects.map((subject) => distillationCase(subject, 0)),
  ];
  const times = await interleave(Object.fromEntries(entries.map((entry, i) => [i, entry.case])), timing);
  const profiles = [];
  for (const { subject, step, once } of entries.filter(({ once }) => once)) {
    onProgress(`profile of ${subject}`);
    profiles.push({ subject, step, ...(await profileSteps(once, quick ? 3 : 10)) });
  }
  const results = entries.map(({ case: _, once: __, flops, ...entry }, i) => ({
    ...entry,
    secondsPerStep: spread(times[i]),
    tokensPerSecond: rate(entry.tokens, times[i]),
    gigaflopsPerSecond: flops === undefined ? null : rate(flops / 1e9, times[i]),
  }));
  return { ...timing, rounds: times[0].length, results, profiles };
}

export function print({ rounds, results, profiles }) {
  const head = ['model', 'step', 'batch', 'a step', 'tokens/s (range)', 'GFLOP/s'];
  const rows = results.map((r) => [
    r.subject,
    r.step,
    r.batch,
    duration(r.secondsPerStep.median),
    ranged(r.tokensPerSecond),
    r.gigaflopsPerSecond ? figure(r.gigaflopsPerSecond.median) : '',
  ]);
  return `${table(head, rows, 3)}
tokens: of prompt and answer together (next token), generated ones (distillation). GFLOP/s: of the products with weights
and of causal attention, forward and backward. ${rounds} rounds.
${profiles.map((profile) => `\n${profile.subject}, ${profile.step}, by operation\n${printProfile(profile)}`).join('\n')}`;
}
