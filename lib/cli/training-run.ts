import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Option } from 'commander';
import { CheckpointError, ValueError } from '../errors.ts';
import { claimOutputFolder, isTemporaryName, OUTPUT_MARKER, readJson, writeFileAtomic } from '../files.ts';
import { Interrupted } from './abort.ts';
import { UsageError } from './failure.ts';
import { integer, option, text } from './options.ts';
import { DEFAULT_COMPUTE } from './placement.ts';
import type { Session } from './session.ts';
import type { CliTask } from './tasks/task.ts';

/** A plain value that a run is started with. */
export type Setting = string | number | boolean | null | readonly (string | number)[];

/** The options of every command that trains. */
export interface TrainingOptions {
  output?: string;
  state?: string;
  resume?: boolean;
  force?: boolean;
  saveEvery?: number;
}

/** Settings that the runs of earlier versions do not tell, as they were then. */
const UNTOLD = { compute: DEFAULT_COMPUTE };

/** The options' definitions. */
export function trainingOptions(output: string): Option[] {
  return [
    option('-o, --output <file>', `checkpoint to write, safetensors (default: ${output})`, text),
    option('--state <folder>', 'where the unfinished run is kept (default: <output>.training)', text),
    new Option('--resume', 'go on with the unfinished run; its options are remembered, but for the device'),
    new Option('--force', 'replace an existing output, and drop an unfinished run'),
    option(
      '--save-every <steps>',
      'save the unfinished run every so many steps, 0 for never (default: 100)',
      integer(0),
    ),
  ];
}

/** The given ones among some options. */
export function pick<S extends object>(options: Partial<S>, keys: readonly (keyof S)[]): Partial<S> {
  const found: Partial<S> = {};
  for (const key of keys) if (options[key] !== undefined) found[key] = options[key];
  return found;
}

/** Names of the files that trainers write into the state's folder. */
export const STATE_FILES = {
  base: 'base.safetensors',
  embedder: 'contrastive.safetensors',
  adherence: 'towers.safetensors',
  distill: 'trainer.safetensors',
};
const OWN_FILES = [...Object.values(STATE_FILES), 'teacher.safetensors', 'embedder.safetensors', OUTPUT_MARKER];
/** Of several embedders, each has its number. */
const OWN_NUMBERED = /^embedder-\d+\.safetensors$/;

/** What a run starts with: the settings, none left out, and the task that they open. */
export interface Started<S> {
  settings: S;
  task: CliTask;
}

/** Something that trains step by step and can be saved in between. */
export interface Training<M extends { step: number }> {
  title: string;
  steps: number;
  /** Updates made so far. */
  trainer: { readonly step: number };
  run(steps: number, signal: AbortSignal): AsyncIterable<M>;
  save(): Promise<void>;
  /** A short text beside the progress bar. */
  detail(metrics: M): string;
}

/**
 * An unfinished training run in a folder of its own: the settings it was started with, and the trainer's state, from
 * which the same command goes on. It is removed when the run is done.
 */
export class TrainingRun<S extends Record<keyof S, Setting>> {
  readonly settings: S;
  readonly task: CliTask;
  readonly output: string;
  readonly folder: string;
  /** Whether there is a trainer's state to go on from. */
  readonly resuming: boolean;
  readonly #saveEvery: number;

  private constructor(
    { settings, task }: Started<S>,
    paths: { output: string; folder: string; resuming: boolean },
    saveEvery: number,
  ) {
    this.settings = settings;
    this.task = task;
    this.output = paths.output;
    this.folder = paths.folder;
    this.resuming = paths.resuming;
    this.#saveEvery = saveEvery;
  }

  /**
   * Claims the folder for a new run, or finds the run that is to go on.
   *
   * Rejects with ValueError when the output or an unfinished run would be lost, when there is nothing to go on from, or
   * when the folder holds something else; with UsageError when an option contradicts the run that goes on.
   */
  static async open<S extends Record<keyof S, Setting>>(
    kind: string,
    options: TrainingOptions & { output: string },
    given: Partial<S>,
    complete: (known: Partial<S>) => Promise<Started<S>>,
  ): Promise<TrainingRun<S>> {
    const { output, state: folder = `${output}.training`, resume = false, force = false, saveEvery = 100 } = options;
    const started = existsSync(join(folder, OUTPUT_MARKER)) ? await readMarker(folder, kind) : null;
    const saved = Object.values(STATE_FILES).some((name) => existsSync(join(folder, name)));
    await checkOutput(output, force);
    if (resume) {
      if (!started) throw new ValueError(`--resume: expected an unfinished run in ${folder}, found none`);
      const settings = { ...UNTOLD, ...(started.settings as S) };
      checkSame(settings, given, folder);
      const now = await complete({ ...settings });
      checkUnchanged(settings, now.settings, folder);
      return new TrainingRun(
        { settings: { ...now.settings, ...settings }, task: now.task },
        { output, folder, resuming: saved },
        saveEvery,
      );
    }
    if (started && saved && !force) {
      throw new ValueError(`${folder} holds an unfinished run: go on with --resume, or drop it with --force`);
    }
    const fresh = await complete(given);
    if (started) await removeOwn(folder);
    await claim(folder, { kind, settings: fresh.settings });
    return new TrainingRun(fresh, { output, folder, resuming: false }, saveEvery);
  }

  /** The path of a file of the state. */
  file(name: string): string {
    return join(this.folder, name);
  }

  /**
   * Trains up to the last step. An interrupt saves the state, and so does every n-th step.
   *
   * @returns the last step's metrics, null when there was none left to do, and the seconds it took
   */
  async train<M extends { step: number }>(session: Session, training: Training<M>) {
    const { title, steps, trainer, run, save, detail } = training;
    const { progress, signal, note } = session;
    const begin = performance.now();
    let last: M | null = null;
    progress.start(title, steps);
    progress.update(trainer.step);
    try {
      for await (const metrics of run(Math.max(0, steps - trainer.step), signal)) {
        last = metrics;
        progress.update(metrics.step, detail(metrics));
        if (this.#saveEvery > 0 && metrics.step % this.#saveEvery === 0 && metrics.step < steps) await save();
      }
    } catch (error) {
      progress.stop();
      if (!(error instanceof Interrupted)) throw error;
      await save();
      note(
        `Saved step ${trainer.step} of ${steps} in ${this.folder}. The same command with --resume goes on from there.`,
      );
      throw error;
    } finally {
      progress.stop();
    }
    return { last, seconds: (performance.now() - begin) / 1000 };
  }

  /** Removes the state, when the output is written. */
  close(): Promise<void> {
    return removeOwn(this.folder);
  }
}

async function readMarker(folder: string, kind: string): Promise<Record<string, unknown>> {
  const found = (await readJson(join(folder, OUTPUT_MARKER))) as Record<string, unknown> | null;
  if (found?.kind !== kind || typeof found.settings !== 'object' || found.settings === null) {
    throw new ValueError(`--state: expected a folder of an unfinished ${kind} run, got ${folder}, which is none`);
  }
  return found;
}

function checkSame<S extends Record<keyof S, Setting>>(settings: S, given: Partial<S>, folder: string): void {
  for (const key of Object.keys(given) as (keyof S & string)[]) {
    if (given[key] === undefined || isDeepStrictEqual(given[key], settings[key])) continue;
    throw new UsageError(
      `${flagOf(key)}: the unfinished run in ${folder} has ${settings[key]}, got ${given[key]}; ` +
        'leave the option out to go on, or start anew without --resume',
    );
  }
}

/** What the settings were computed from, such as a digest of a file, must still be so; earlier versions tell less. */
function checkUnchanged<S extends Record<keyof S, Setting>>(settings: S, now: S, folder: string): void {
  for (const key of Object.keys(now) as (keyof S & string)[]) {
    if (settings[key] === undefined || isDeepStrictEqual(now[key], settings[key])) continue;
    throw new CheckpointError(
      `${folder}: '${key}' of the unfinished run is ${settings[key]}, but now it would be ${now[key]}: a file it was ` +
        'started from has changed',
    );
  }
}

function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

async function checkOutput(output: string, force: boolean): Promise<void> {
  const status = await stat(output).catch(() => null);
  if (status?.isDirectory()) throw new ValueError(`--output: expected a file, got the folder ${output}`);
  if (status && !force) throw new ValueError(`--output: ${output} exists already; replace it with --force`);
  try {
    await mkdir(dirname(output), { recursive: true });
  } catch (cause) {
    throw new ValueError(`--output: the folder of ${output} cannot be made: ${(cause as Error).message}`, 'output', {
      cause,
    });
  }
}

async function claim(folder: string, marker: { kind: string; settings: object }): Promise<void> {
  try {
    await claimOutputFolder(folder, { ...marker });
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new ValueError(cause.message.replace(/^output:/, '--state:'), 'state', { cause });
  }
  await writeFileAtomic(join(folder, OUTPUT_MARKER), `${JSON.stringify(marker, null, 2)}\n`);
}

/** Removes the files that a run wrote, and the folder if nothing else is in it. */
async function removeOwn(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    // A killed run may have left the temporary file of an unfinished write.
    if (OWN_FILES.includes(name) || OWN_NUMBERED.test(name) || isTemporaryName(name))
      await rm(join(folder, name), { force: true });
  }
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST' && error.code !== 'ENOENT') throw error;
  });
}
