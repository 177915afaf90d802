// The event loop: how late a timer of 10 ms is while models train, sample, load, and are judged.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BaseTrainer,
  EncoderEmbedder,
  evaluate,
  Sampler,
  SequenceEncoder,
  Trainer,
  TransformerLM,
} from './cfgdistill.mjs';
import { sequences } from './data.mjs';
import { lateness, PERIOD, percentile } from './lateness.mjs';
import { makeModel, noPrompt, SUBJECTS } from './models.mjs';
import { figure, table } from './table.mjs';

export const heading = 'lateness of a timer';

const GOAL = 15; // ms, of the 99th percentile
const STEPS = 2 ** 40; // more than will ever be run
const optimizer = { learningRate: 1e-4 };

/** Steps of a trainer as long as it should go on; the first, which records passes, is not left out. */
function steps(trainer, run) {
  return async (goesOn) => {
    for await (const _ of run(trainer)) if (!goesOn()) break;
    trainer.dispose();
  };
}

function encoderFor({ config, answerTokens }) {
  const { vocabularySize, width, heads } = config;
  return new SequenceEncoder({ vocabularySize, depth: 2, width, heads, dimensions: width, maxPositions: answerTokens });
}

function training(subject) {
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
  return steps(trainer, (t) => t.run({ steps: STEPS }));
}

function distillation(subject, beta) {
  const { promptTokens, answerTokens, config, distill } = subject;
  const base = makeModel(subject);
  const trainer = new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale: 2, negative: noPrompt(subject) } },
    ...(beta > 0 && { diversity: { embedder: new EncoderEmbedder(encoderFor(subject)), weight: beta } }),
    ...distill,
    maxTokens: answerTokens,
    optimizer,
  });
  const prompts = sequences(distill.promptsPerStep, promptTokens, config.vocabularySize, 3);
  return steps(trainer, (t) => t.run(prompts, { steps: STEPS }));
}

function sampling(subject, passes) {
  const { promptTokens, answerTokens, config } = subject;
  const guidance = { scale: 2, negative: noPrompt(subject) };
  const sampler = new Sampler(makeModel(subject), { temperature: 0.99, ...(passes === 2 && { guidance }) });
  const prompts = sequences(32, promptTokens, config.vocabularySize, 4);
  return async (goesOn) => {
    while (goesOn()) {
      for await (const _ of sampler.generate(prompts, { samplesPerPrompt: 16, maxTokens: answerTokens })) {
        // only timed
      }
    }
  };
}

function saving(subject, dtype) {
  const model = makeModel(subject);
  return async (goesOn) => {
    const folder = await mkdtemp(join(tmpdir(), 'cfgdistill-'));
    try {
      const path = join(folder, 'model.safetensors');
      while (goesOn()) {
        await model.save(path, { dtype });
        (await TransformerLM.load(path, { device: 'cpu' })).dispose();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  };
}

function evaluating(subject) {
  const { promptTokens, answerTokens, config } = subject;
  const prompts = sequences(32, promptTokens, config.vocabularySize, 5);
  const model = makeModel(subject);
  const distance = (a, b) => a.reduce((differ, token, i) => differ + (token !== b[i] ? 1 : 0), 0) / a.length;
  const judge = {
    quality: (_, generations) => generations.map((tokens) => (tokens[0] % 2 ? 1 : 0)),
    valid: (_, tokens) => tokens[0] % 2 === 1,
    distance: (_, a, b) => distance(a, b),
    identity: (_, tokens) => tokens.join(),
  };
  const generator = { name: 'base', family: 'base', parameters: {}, model, sampling: {} };
  const options = { prompts, maxTokens: answerTokens, embedder: new EncoderEmbedder(encoderFor(subject)), judge };
  return async (goesOn) => {
    while (goesOn()) await evaluate([generator], { ...options, timingRounds: 1 });
  };
}

const idle = async (goesOn) => {
  while (goesOn()) await new Promise((resolve) => setTimeout(resolve, 50));
};

export function casesOf(subject) {
  return Object.entries({
    'next token': () => training(subject),
    'distillation, β = 0': () => distillation(subject, 0),
    'distillation, β = 1, embedder': () => distillation(subject, 1),
    'sampling, one pass': () => sampling(subject, 1),
    'sampling, two passes': () => sampling(subject, 2),
    'saving and loading, float32': () => saving(subject, 'float32'),
    'saving and loading, bfloat16': () => saving(subject, 'bfloat16'),
    evaluate: () => evaluating(subject),
  });
}

/**
 * @param {{ quick: boolean, onProgress: (what: string) => void }} options
 */
export async function run({ quick, onProgress }) {
  const seconds = quick ? 1 : 8;
  const subjects = SUBJECTS.slice(1, quick ? 2 : undefined);
  const cases = [['', 'nothing', () => idle]];
  for (const subject of subjects) for (const [name, make] of casesOf(subject)) cases.push([subject.name, name, make]);
  const results = [];
  for (const [subject, name, make] of cases) {
    onProgress(`${subject} ${name}`);
    const late = await lateness(make(), seconds);
    results.push({
      subject,
      case: name,
      ticks: late.length,
      median: percentile(late, 0.5),
      p99: percentile(late, 0.99),
      max: late.at(-1),
      goal: GOAL,
    });
  }
  return { seconds, period: PERIOD, results };
}

export function print({ seconds, results }) {
  const head = ['model', 'what goes on', 'ticks', 'median, ms', 'p99, ms', 'max, ms', 'goal of p99'];
  const rows = results.map((r) => [
    r.subject,
    r.case,
    r.ticks,
    figure(r.median),
    figure(r.p99),
    figure(r.max),
    `${r.goal} ${r.p99 <= r.goal ? 'reached' : 'missed'}`,
  ]);
  return `${table(head, rows, 2)}
Lateness of the ticks of a ${PERIOD} ms timer during ${seconds} s; a tick that is missed counts with the time until it could have run.`;
}
