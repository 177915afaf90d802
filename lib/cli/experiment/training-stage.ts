import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../../errors.ts';
import type { TrainingCurve } from '../../evaluation/types.ts';
import { readJson, writeFileAtomic } from '../../files.ts';
import type { Experiment } from './experiment.ts';
import { CurveRecorder } from './stages.ts';

/** Something that trains step by step. */
export interface StagedTrainer<M extends { step: number }> {
  readonly step: number;
  run(options: { steps: number; signal: AbortSignal }): AsyncIterable<M>;
  /** Writes the training state to a path. */
  save(path: string): Promise<void>;
  dispose(): void;
}

export interface TrainingStage<T extends StagedTrainer<M>, M extends { step: number }, R> {
  name: string;
  title: string;
  /** In all. */
  steps: number;
  fresh(): T;
  /** A trainer that goes on from what `save` wrote. */
  resume(path: string): Promise<T>;
  /** What the curves show. */
  metrics(step: M): Readonly<Record<string, number | null>>;
  /** A short text beside the progress bar. */
  detail(step: M): string;
  /** Writes the trained model, and returns what later stages need to know. */
  finish(trainer: T): Promise<R>;
}

/** How often an unfinished training is saved, in seconds: what is lost when the process is killed. */
const SAVE_EVERY = 60;

/** Trains as a stage. Stopped, it is saved, and goes on from there when the experiment does. */
export function trainInStage<T extends StagedTrainer<M>, M extends { step: number }, R>(
  { folder, stages, signal }: Experiment,
  { name, title, steps, fresh, resume, metrics, detail, finish }: TrainingStage<T, M, R>,
): Promise<R> {
  const unfinished = new UnfinishedTraining<T>(join(folder, 'stages', `${name}.training`));
  return stages.run({
    name,
    title,
    total: steps,
    run: async (report) => {
      const found = await unfinished.find(resume);
      const trainer = found?.trainer ?? fresh();
      const recorder = new CurveRecorder(steps, found?.curve);
      report(trainer.step);
      try {
        let saved = performance.now();
        for await (const step of trainer.run({ steps: Math.max(0, steps - trainer.step), signal })) {
          recorder.add(step.step, metrics(step));
          report(step.step, detail(step));
          if (performance.now() - saved < SAVE_EVERY * 1000) continue;
          await unfinished.save(trainer, recorder.curve);
          saved = performance.now();
        }
        return { result: await finish(trainer), curve: recorder.curve };
      } catch (error) {
        if (signal.aborted && trainer.step > 0) await unfinished.save(trainer, recorder.curve);
        throw error;
      } finally {
        trainer.dispose();
      }
    },
    finished: () => unfinished.remove(),
  });
}

/** The state of a training that was stopped, in a folder of its own. */
class UnfinishedTraining<T extends { save(path: string): Promise<void> }> {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get #curve(): string {
    return join(this.#folder, 'curve.json');
  }

  get #state(): string {
    return join(this.#folder, 'state');
  }

  /** Null where there is none, or where it cannot be read: then training begins anew. */
  async find(resume: (path: string) => Promise<T>): Promise<{ trainer: T; curve: TrainingCurve } | null> {
    if (!existsSync(this.#curve)) return null;
    try {
      return { curve: (await readJson(this.#curve)) as TrainingCurve, trainer: await resume(this.#state) };
    } catch (error) {
      if (error instanceof CheckpointError) return null;
      throw error;
    }
  }

  async save(trainer: T, curve: TrainingCurve): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await trainer.save(this.#state);
    await writeFileAtomic(this.#curve, JSON.stringify(curve));
  }

  remove(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }
}
