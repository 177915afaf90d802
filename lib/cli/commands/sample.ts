import type { Command } from 'commander';
import { ValueError } from '../../errors.ts';
import { type Generation, Sampler } from '../../sampler.ts';
import { UsageError } from '../failure.ts';
import { integer, notNegative, number, oneOf, option, probability, repeatable, seed, text } from '../options.ts';
import { type PlacementFlags, placementJson, placementOf, placementOptions } from '../placement.ts';
import { loadLanguageModel, readProvenance, required, taskOf } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import type { CliTask, TaskPrompt } from '../tasks/task.ts';
import { TASK_NAMES, TASKS } from '../tasks.ts';

interface Options extends PlacementFlags {
  model?: string;
  prompt?: string[];
  samples?: number;
  scale?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  task?: string;
}

export function sampleCommand(program: Command): void {
  const forms = TASKS.map(({ name, promptForm }) => `${name}: ${promptForm}`).join('; ');
  const command = program
    .command('sample')
    .summary('draw answers to prompts from a model')
    .description(
      'Draws answers from a base, distilled or merged model. For chords each is a line of frets from the lowest string ' +
        '(x32010: x is muted, 0 open, ? not playable), whether it is a valid voicing of the chord, and its log-probability.',
    )
    .addOption(option('-m, --model <file>', 'checkpoint of train-base, distill or merge', text))
    .addOption(repeatable('-p, --prompt <text>', `what to answer; may be given several times. ${forms}`, text))
    .addOption(option('-n, --samples <n>', 'answers per prompt (default: 4)', integer(1, 1_000_000)))
    .addOption(
      option('--scale <x>', 'guidance scale, such as 2; takes two passes per token (default: no guidance)', number()),
    )
    .addOption(option('--temperature <x>', '0 takes the likeliest token (default: 1)', notNegative))
    .addOption(option('--top-k <n>', 'draw from the n likeliest tokens only (default: off)', integer(1)))
    .addOption(option('--top-p <x>', 'draw from the likeliest tokens of this mass only (default: off)', probability))
    .addOption(option('--seed <n>', 'of the draws; the same seed gives the same answers (default: 1)', seed))
    .addOption(option('--task <name>', `${TASK_NAMES.join(', ')} (default: what the model tells)`, oneOf(TASK_NAMES)));
  for (const made of placementOptions()) command.addOption(made);
  action<Options>(command, { stopping: 'Stopping.', body: sample });
}

async function sample(options: Options, { signal }: Session): Promise<Result> {
  const path = required(options.model, '--model: expected a checkpoint, got none');
  const texts = required(options.prompt, `--prompt: expected ${TASKS[0].promptForm}, got none`);
  const placement = await placementOf(options);
  const provenance = await readProvenance(path);
  // The split plays no part here: prompts and their meaning are the same under every seed.
  const task = taskOf([provenance], options.task).open(provenance.splitSeed ?? 1);
  const prompts = texts.map((given) => parsePrompt(task, given));
  const model = await loadLanguageModel(path, task, placement);
  const { samples = 4, scale, temperature, topK, topP } = options;
  const sampler = new Sampler(model, {
    stopToken: task.stopToken,
    seed: options.seed ?? 1,
    ...(scale !== undefined && { guidance: { scale, negative: task.noPrompt } }),
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
  });
  const drawn = prompts.map((): Generation[] => []);
  const generations = sampler.generate(
    prompts.map(({ tokens }) => tokens),
    { samplesPerPrompt: samples, maxTokens: task.maxTokens, signal },
  );
  for await (const generation of generations) drawn[generation.prompt]?.push(generation);
  const answers = prompts.map((prompt, p) => (drawn[p] as Generation[]).map((one) => described(task, prompt, one)));
  return {
    json: {
      command: 'sample',
      task: task.name,
      model: path,
      ...placementJson(placement),
      passesPerToken: sampler.passesPerToken,
      prompts: prompts.map(({ text: prompt }, p) => ({ prompt, samples: answers[p] })),
    },
    text: prompts.map(({ text: prompt }, p) => lines(prompt, answers[p] as Answer[])).join('\n\n'),
  };
}

function parsePrompt(task: CliTask, given: string): TaskPrompt {
  try {
    return task.prompt(given);
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new UsageError(`--prompt: '${given}': ${cause.message}`, { cause });
  }
}

type Answer = ReturnType<typeof described>;

function described(task: CliTask, prompt: TaskPrompt, { tokens, logProbs, stopped }: Generation) {
  const { text: shown, valid, json } = task.answer(prompt, tokens);
  const logProbability = logProbs.reduce((sum, value) => sum + value, 0);
  return { text: shown, valid, ...json, logProbability, tokens: [...tokens], logProbs: [...logProbs], stopped };
}

function lines(prompt: string, answers: readonly Answer[]): string {
  const width = Math.max(...answers.map(({ text: shown }) => shown.length));
  const rows = answers.map(({ text: shown, valid, logProbability }) => {
    return `  ${shown.padEnd(width)}  ${valid ? 'valid  ' : 'invalid'}  log-probability ${logProbability.toFixed(2)}`;
  });
  return [prompt, ...rows].join('\n');
}
