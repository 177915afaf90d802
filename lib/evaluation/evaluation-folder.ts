import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ValueError } from '../errors.ts';
import { isSystemError, systemFailure } from '../files/failure.ts';
import { claimOutputFolder, writeFileAtomic } from '../files.ts';
import type { Measure } from './judgement.ts';
import { differencesOf } from './settings.ts';
import type { Evaluation, EvaluationStore } from './store.ts';
import type { Point } from './types.ts';

export interface EvaluationFolderOptions {
  /**
   * What all evaluations in the folder depend on and are to share: seed, prompts, samples, embedder, judge. Plain data,
   * as JSON has it.
   */
  settings: Readonly<Record<string, unknown>>;
  /** What a generator's evaluation depends on besides, such as its checkpoint's digest. Default: nothing. */
  originOf?: (name: string) => string | undefined;
}

/** An evaluation as plain data. */
interface Stored {
  origin: string | null;
  point: Point;
  perPrompt: Record<Measure, number[]>;
  generations: number[][][];
}

/** The beginning of a stored file: the evaluation's text follows, and a closing brace. */
const HEAD = /^\{"format":1,"sha256":"([0-9a-f]{64})","evaluation":/;

/**
 * A folder that keeps judged generators, one JSON file each, written whole or not at all. A file that was damaged is as
 * good as none. Numbers come back bit for bit.
 */
export class EvaluationFolder implements EvaluationStore {
  readonly path: string;
  readonly #originOf: (name: string) => string | undefined;

  private constructor(path: string, originOf: (name: string) => string | undefined) {
    this.path = path;
    this.#originOf = originOf;
  }

  /**
   * Makes the folder, or goes on with one that was made with the same settings.
   *
   * @throws ValueError for a path that holds something else, and for a folder made with other settings, naming what differs
   */
  static async open(
    path: string,
    { settings, originOf = () => undefined }: EvaluationFolderOptions,
  ): Promise<EvaluationFolder> {
    const own: unknown = JSON.parse(JSON.stringify(settings));
    const found = await claimOutputFolder(path, { kind: 'evaluation', settings: own });
    const differences = found === null ? [] : differencesOf(found.settings, own);
    if (differences.length > 0) {
      const told = differences.map(({ name, there, here }) => `${name} was ${there}, is ${here}`);
      throw new ValueError(
        `output: ${path} holds an evaluation with other settings (${told.join('; ')}); give another folder, or remove it`,
        'output',
      );
    }
    return new EvaluationFolder(path, originOf);
  }

  /** @throws ValueError when the evaluation is of another origin, CheckpointError when the system refuses to read */
  async load(name: string): Promise<Evaluation | null> {
    const stored = parse(await this.#read(name));
    if (stored?.point.name !== name) return null;
    const origin = this.#originOf(name) ?? null;
    if (stored.origin !== origin) {
      throw new ValueError(
        `output: ${this.path} holds an evaluation of '${name}' from another origin (was ${stored.origin ?? 'none'}, is ` +
          `${origin ?? 'none'}); give another folder, or remove it`,
        'output',
      );
    }
    const { quality, diversity, independentDiversity } = stored.perPrompt;
    return {
      point: stored.point,
      perPrompt: {
        quality: Float64Array.from(quality),
        diversity: Float64Array.from(diversity),
        independentDiversity: Float64Array.from(independentDiversity),
      },
      generations: stored.generations.map((own) => own.map((tokens) => Int32Array.from(tokens))),
    };
  }

  /** @throws CheckpointError when the system refuses to write */
  async save({ point, perPrompt, generations }: Evaluation): Promise<void> {
    const { quality, diversity, independentDiversity } = perPrompt;
    const stored: Stored = {
      origin: this.#originOf(point.name) ?? null,
      point,
      perPrompt: {
        quality: [...quality],
        diversity: [...diversity],
        independentDiversity: [...independentDiversity],
      },
      generations: generations.map((own) => own.map((tokens) => [...tokens])),
    };
    const text = JSON.stringify(stored);
    const head = `{"format":1,"sha256":"${digest(text)}","evaluation":`;
    await writeFileAtomic(this.#fileOf(point.name), [head, text, '}\n']);
  }

  async #read(name: string): Promise<string> {
    const path = this.#fileOf(name);
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code === 'ENOENT') return '';
      throw systemFailure(path, 'read', error);
    }
  }

  /** Names hold what file names may not, and may differ in case alone. */
  #fileOf(name: string): string {
    const readable = name.replace(/[^A-Za-z0-9.]+/g, '-').slice(0, 60);
    return join(this.path, `${readable}-${digest(name).slice(0, 8)}.json`);
  }
}

/** What a file's text holds; null where it is not as it was written. */
function parse(text: string): Stored | null {
  const head = HEAD.exec(text);
  if (head === null || !text.endsWith('}\n')) return null;
  const body = text.slice(head[0].length, -2);
  return digest(body) === head[1] ? (JSON.parse(body) as Stored) : null;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
