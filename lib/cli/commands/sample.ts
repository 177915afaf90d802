import type { Command } from 'commander';
import { Option } from 'commander';
import { CheckpointError, ValueError } from '../../errors.ts';
import { type Generation, Sampler } from '../../sampler.ts';
import { AnswerFiles } from '../answer-files.ts';
import { UsageError } from '../failure.ts';
import { integer, notNegative, number, oneOf, option, probability, repeatable, seed, text } from '../options.ts';
import { type PlacementFlags, placementJson, placementOf, placementOptions } from '../placement.ts';
import { loadLanguageModel, type Provenance, readProvenance, required, taskOf } from '../provenance.ts';
import { action, type Result, type Session } from '../session.ts';
import type { CliTask, TaskConstraint, TaskPrompt } from '../tasks/task.ts';
import { TASK_NAMES, TASKS } from '../tasks.ts';

interface Options extends PlacementFlags {
  model?: string;
  prompt?: string[];
  samples?: number;
  scale?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  maxTokens?: number;
  fullBars?: boolean;
  seed?: number;
  output?: string;
  force?: boolean;
  task?: string;
}

export function sampleCommand(program: Command): void {
  const forms = TASKS.map(({ name, promptForm }) => `${name}: ${promptForm}`).join('; ');
  const command = program
    .command('sample')
    .summary('draw answers to prompts from a model')
    .description(
      'Draws answers from a base, distilled or merged model. For chords each is a line of frets from the lowest string ' +
        '(x32010: x is muted, 0 open, ? not playable), whether it is a valid voicing of the chord, and its log-probability. ' +
        'Tunes come as ABC, and with --output as ABC, MIDI and sound. The model alone is needed, not its data.',
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
    .addOption(option('--max-tokens <n>', 'most tokens of an answer (default: as many as in training)', integer(1)))
    .addOption(new Option('--full-bars', 'tunes: keep every bar exactly full, in the metre that the prompt asks for'))
    .addOption(option('--seed <n>', 'of the draws; the same seed gives the same answers (default: 1)', seed))
    .addOption(option('-o, --output <folder>', 'tunes: also write each as .abc, .mid and .wav there', text))
    .addOption(new Option('--force', 'replace files that are in the output folder already'))
    .addOption(option('--task <name>', `${TASK_NAMES.join(', ')} (default: what the model tells)`, oneOf(TASK_NAMES)));
  for (const made of placementOptions()) command.addOption(made);
  action<Options>(command, { stopping: 'Stopping.', body: sample });
}

async function sample(options: Options, session: Session): Promise<Result> {
  const path = required(options.model, '--model: expected a checkpoint, got none');
  const texts = required(options.prompt, `--prompt: expected ${TASKS[0].promptForm}, got none`);
  const placement = await placementOf(options);
  const task = await taskOfModel(await readProvenance(path), options.task);
  const prompts = texts.map((given) => parsePrompt(task, given));
  const constraint = options.fullBars ? fullBarsOf(task, prompts) : null;
  const { samples = 4, scale, temperature, topK, topP } = options;
  const files =
    options.output === undefined ? null : await AnswerFiles.plan(options.output, task, prompts, samples, options);
  const model = await loadLanguageModel(path, task, placement);
  for (const { text: prompt, unknown = [] } of prompts) {
    if (unknown.length > 0) session.note(`Note: '${prompt}': the model does not know ${unknown.join(', ')}.`);
  }
  const sampler = new Sampler(model, {
    stopToken: task.stopToken,
    seed: options.seed ?? 1,
    ...(scale !== undefined && { guidance: { scale, negative: task.noPrompt } }),
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(constraint && { constraint: constraint.automaton }),
  });
  const drawn = prompts.map((): Generation[] => []);
  const generations = sampler.generate(
    prompts.map(({ tokens }) => tokens),
    {
      samplesPerPrompt: samples,
      maxTokens: maxTokensOf(options, task, prompts, model.config.maxPositions),
      startStates: constraint?.startStates,
      signal: session.signal,
    },
  );
  for await (const one of generations) {
    drawn[one.prompt]?.push(constraint ? upToAnEnd(one, constraint, task.stopToken) : one);
  }
  const answered = prompts.map((prompt, p) => ({
    prompt,
    answers: (drawn[p] as Generation[]).map((one) => described(task, prompt, one)),
  }));
  const written = await files?.write(
    drawn.map((own) => own.map(({ tokens }) => tokens)),
    session,
  );
  return {
    json: {
      command: 'sample',
      task: task.name,
      model: path,
      ...placementJson(placement),
      passesPerToken: sampler.passesPerToken,
      prompts: answered.map(({ prompt, answers }, p) => ({
        prompt: prompt.text,
        samples: answers.map((one, s) => ({ ...sampleJson(one), ...(written && { files: written[p]?.[s] }) })),
      })),
    },
    text: task.listing(answered),
  };
}

/** The task of a model, opened without data: a split plays no part here. */
function taskOfModel(provenance: Provenance, given: string | undefined): Promise<CliTask> {
  const { path, vocabulary, splitSeed = 1 } = provenance;
  const entry = taskOf([provenance], given);
  if (entry.dataForm !== undefined && vocabulary === undefined) {
    throw new CheckpointError(
      `${path}: expected the vocabulary of task '${entry.name}' in the metadata, as train-base and distill write it, got none`,
      path,
    );
  }
  return entry.open({ seed: splitSeed, vocabulary });
}

function parsePrompt(task: CliTask, given: string): TaskPrompt {
  try {
    return task.prompt(given);
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new UsageError(`--prompt: '${given}': ${cause.message}`, { cause });
  }
}

function fullBarsOf(task: CliTask, prompts: readonly TaskPrompt[]): TaskConstraint {
  if (!task.fullBars) throw new UsageError(`--full-bars: task '${task.name}' has no bars`);
  try {
    return task.fullBars(prompts);
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new UsageError(`--full-bars: ${cause.message}`, { cause });
  }
}

/** What was asked for, or what training had; the prompt takes some of the model's positions. */
function maxTokensOf({ maxTokens }: Options, task: CliTask, prompts: readonly TaskPrompt[], positions: number): number {
  const widest = prompts.reduce((most, { tokens }) => Math.max(most, tokens.length), task.noPrompt.length);
  const most = positions - widest;
  if (most < 1) {
    throw new UsageError(
      `--prompt: expected at most ${positions - 1} tokens, which the model has room for, got ${widest}`,
    );
  }
  if (maxTokens !== undefined && maxTokens > most) {
    throw new UsageError(`--max-tokens: expected at most ${most}, which the model has room for, got ${maxTokens}`);
  }
  return maxTokens ?? Math.min(most, task.maxTokens);
}

/** A generation that was cut off goes back to where the constraint last allowed it to end. */
function upToAnEnd(generation: Generation, { automaton, startStates }: TaskConstraint, stopToken: number): Generation {
  const { prompt, tokens, logProbs, stopped } = generation;
  if (stopped) return generation;
  const { transitions, vocabularySize } = automaton;
  const after = (state: number, token: number) => transitions[state * vocabularySize + token] as number;
  let state = startStates[prompt] as number;
  let end = 0;
  tokens.forEach((token, i) => {
    state = after(state, token);
    if (after(state, stopToken) >= 0) end = i + 1;
  });
  return { ...generation, tokens: tokens.slice(0, end), logProbs: logProbs.slice(0, end) };
}

function described(task: CliTask, prompt: TaskPrompt, generation: Generation) {
  const logProbability = generation.logProbs.reduce((sum, value) => sum + value, 0);
  return { answer: task.answer(prompt, generation.tokens), logProbability, generation };
}

function sampleJson({ answer, logProbability, generation }: ReturnType<typeof described>) {
  const { text: shown, valid, json } = answer;
  const { tokens, logProbs, stopped } = generation;
  return { text: shown, valid, ...json, logProbability, tokens: [...tokens], logProbs: [...logProbs], stopped };
}
