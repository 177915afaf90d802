import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../../errors.ts';
import type { TrainingCurve } from '../../evaluation/types.ts';
import { readJson, writeFileAtomic } from '../../files.ts';
import type { Progress } from '../progress.ts';

/** What a finished stage leaves in `stages/<name>.json`, written last. */
export interface StageRecord<R = unknown> {
  seconds: number;
  curve?: TrainingCurve;
  result: R;
}

export interface Stage<R> {
  name: string;
  title: string;
  /** Units of progress. */
  total: number;
  /** Writes its files and returns what later stages need to know. */
  run(report: (done: number, detail?: string) => void): Promise<{ result: R; curve?: TrainingCurve }>;
  /** Called when the record is written: what helped to go on with the stage is not needed any more. */
  finished?(): Promise<void>;
}

/** Runs stages in a folder, each once: one that finished in an earlier run is not run again. */
export class Stages {
  readonly seconds: Record<string, number> = {};
  readonly curves: Record<string, TrainingCurve> = {};
  readonly #folder: string;
  readonly #progress: Progress;
  readonly #log: (line: string) => void;

  constructor(folder: string, progress: Progress, log: (line: string) => void) {
    this.#folder = join(folder, 'stages');
    this.#progress = progress;
    this.#log = log;
  }

  async run<R>(stage: Stage<R>): Promise<R> {
    const path = join(this.#folder, `${stage.name}.json`);
    let record = await this.#finished<R>(path);
    if (record) {
      this.#log(`${stage.title}: done in an earlier run`);
    } else {
      const begin = performance.now();
      this.#progress.start(stage.title, stage.total);
      try {
        const { result, curve } = await stage.run((done, detail) => this.#progress.update(done, detail));
        record = { seconds: (performance.now() - begin) / 1000, result, ...(curve && { curve }) };
      } finally {
        this.#progress.stop();
      }
      await mkdir(this.#folder, { recursive: true });
      await writeFileAtomic(path, JSON.stringify(record));
      await stage.finished?.();
    }
    this.seconds[stage.name] = record.seconds;
    if (record.curve) this.curves[stage.name] = record.curve;
    return record.result;
  }

  async #finished<R>(path: string): Promise<StageRecord<R> | null> {
    try {
      return (await readJson(path)) as StageRecord<R>;
    } catch (error) {
      // Missing, or damaged from outside: the stage runs (again).
      if (error instanceof CheckpointError) return null;
      throw error;
    }
  }
}

/** Collects a training run's metrics at some of its steps. */
export class CurveRecorder {
  readonly curve: TrainingCurve;
  readonly #steps: number;
  readonly #every: number;

  /** Keeps about `points` of `steps` steps, the last one always, after what is in `curve` already. */
  constructor(steps: number, curve: TrainingCurve = { step: [], metrics: {} }, points = 200) {
    this.curve = curve;
    this.#steps = steps;
    this.#every = Math.max(1, Math.floor(steps / points));
  }

  add(step: number, metrics: Readonly<Record<string, number | null>>): void {
    if (step % this.#every !== 0 && step !== this.#steps) return;
    this.curve.step.push(step);
    for (const [name, value] of Object.entries(metrics)) {
      if (value === null) continue;
      this.curve.metrics[name] ??= [];
      this.curve.metrics[name].push(value);
    }
  }
}
