import { join } from 'node:path';
import { embedOnHost } from './embedders/embedder.ts';
import { ValueError } from './errors.ts';
import { diversityReward } from './kernels/index.ts';
import { checkTokens, packTokens } from './models/token-batch.ts';
import { Random } from './random.ts';
import { type Generation, Sampler } from './sampler.ts';
import { negativesOf, scalesOf } from './sampling-options.ts';
import {
  describeTrainer,
  type ResumeOptions,
  type SavedTrainer,
  savedTrainerOptions,
  saveFrozenModels,
  TRAINER_FILES,
} from './trainer-file.ts';
import { rewardsOf, settingsOf, type TrainerOptions, type TrainerSettings } from './trainer-options.ts';
import { widthOf } from './training/completion-batch.ts';
import { DistillationPass, type Rollout, type TokenValues } from './training/distillation-pass.ts';
import { Epochs } from './training/epochs.ts';
import { Exclusive } from './training/exclusive.ts';
import { Optimizer } from './training/optimizer.ts';
import { learningRateAt } from './training/schedule.ts';
import { loadTraining, restoreTraining, saveTraining } from './training/training-file.ts';

export type { ResumeOptions } from './trainer-file.ts';
export type { DiversityReward, RolloutSource, TrainerOptions } from './trainer-options.ts';

/** What a step reports. */
export interface StepMetrics {
  /** Updates made so far, this one included. */
  step: number;
  /** Divergence from the teacher, nats: per sequence (summed over its tokens, averaged over sequences) … */
  kl: number;
  /** … and per token. */
  klPerToken: number;
  /** Mean over prompts of the mean pairwise 1 − cosine of their generations, by the first embedder; null without one. */
  diversity: number | null;
  /** The same by each embedder, in their order. */
  diversities: readonly number[];
  /** Mean entropy of the student's next-token distribution, nats. */
  entropy: number;
  /** Global gradient norm before clipping. */
  gradientNorm: number;
  learningRate: number;
  /** Generated tokens of this step. */
  tokens: number;
  tokensPerSecond: number;
}

export interface RunOptions {
  /** Further steps. */
  steps: number;
  signal?: AbortSignal | undefined;
  /** For rollouts 'data': per prompt, its known continuations (each with its stop token); drawn with replacement. */
  answers?: readonly (readonly Int32Array[])[];
}

const KIND = 'Trainer';

/**
 * Diversity-rewarded distillation of classifier-free guidance (Cideron et al., arXiv 2410.06084): minimises
 *
 *   (1/P) Σ_prompts [ (1/N) Σ_i Σ_n KL_n(y_i) − Σ_k β_k · D_k ]
 *
 * over generations y of the student itself, where KL_n compares student and guided teacher at token n and D_k is the mean
 * pairwise distance of a prompt's generations by embedder k, rewarded by policy gradient with a leave-one-out baseline.
 */
export class Trainer {
  readonly options: TrainerOptions;
  readonly settings: Readonly<TrainerSettings>;
  readonly #optimizer: Optimizer;
  readonly #pass: DistillationPass;
  /** Without gradients. */
  readonly #valuesOnly: DistillationPass;
  readonly #exclusive = new Exclusive();
  /** The folder that holds the teacher and the embedder already. */
  #savedTo: string | null = null;

  /** @throws ValueError naming the first option that is wrong */
  constructor(options: TrainerOptions) {
    this.settings = settingsOf(options);
    this.options = options;
    this.#optimizer = new Optimizer(options.student.parameters(), options.optimizer);
    const { temperature, divergence, jsdWeight } = this.settings;
    const comparison = { student: options.student, teacher: options.teacher.model, temperature, divergence, jsdWeight };
    this.#pass = new DistillationPass(comparison, this.#optimizer);
    this.#valuesOnly = new DistillationPass(comparison, null);
  }

  /** Updates made so far. */
  get step(): number {
    return this.#optimizer.steps;
  }

  get student(): TrainerOptions['student'] {
    return this.options.student;
  }

  /**
   * Trains for some steps and reports each. Stopping between steps (`break`, or the signal) leaves the trainer at its
   * last whole step: it can be saved, or run again.
   *
   * @throws (on iteration) ValueError for prompts that are empty or hold a token out of range, or a gradient that is
   *   not finite (which changes nothing); the signal's reason when it aborts
   */
  async *run(prompts: readonly Int32Array[], options: RunOptions): AsyncGenerator<StepMetrics, void, void> {
    const { steps, signal, answers } = options;
    if (!(Number.isInteger(steps) && steps >= 0)) {
      throw new ValueError(`steps: expected an integer of at least 0, got ${steps}`, 'steps');
    }
    const { seed, promptsPerStep } = this.settings;
    const { guidance } = this.options.teacher;
    const sources: PromptSources = {
      prompts,
      negatives: guidance ? negativesOf(guidance, prompts.length) : null,
      scales: scalesOf(guidance, prompts.length),
      answers: this.#checkedAnswers(prompts, answers),
      width: 0,
    };
    sources.width = widthOf(prompts, sources.negatives ?? []);
    const { vocabularySize } = this.student;
    packTokens(prompts, { vocabularySize });
    if (sources.negatives) packTokens(sources.negatives, { vocabularySize, argument: 'teacher.guidance.negative' });

    const epochs = new Epochs(prompts.length, seed);
    for (const last = this.step + steps; this.step < last; ) {
      signal?.throwIfAborted();
      yield await this.#exclusive.run(() =>
        this.#step(epochs.take(this.step * promptsPerStep, promptsPerStep), sources, signal),
      );
    }
  }

  async #step(
    chosen: readonly number[],
    sources: PromptSources,
    signal: AbortSignal | undefined,
  ): Promise<StepMetrics> {
    const begin = performance.now();
    const { samplesPerPrompt, promptsPerStep, rowsPerMicrobatch, scoreFunction } = this.settings;
    const generations = await this.#rollouts(chosen, sources, signal);
    const sequences = promptsPerStep * samplesPerPrompt;
    const { advantages, diversities } = await this.#rewards(generations, signal);
    const rollouts = generations.map((tokens, i): Rollout => {
      const prompt = chosen[Math.floor(i / samplesPerPrompt)] as number;
      const coefficient = (2 * (advantages[i] as number)) / sequences;
      return {
        prompt: sources.prompts[prompt] as Int32Array,
        negative: sources.negatives?.[prompt] ?? null,
        scale: sources.scales[prompt] as number,
        tokens,
        coefficients: new Float32Array(tokens.length).fill(coefficient),
      };
    });
    if (scoreFunction) await this.#addScoreFunction(rollouts, sources.width, sequences);

    const values: TokenValues[] = [];
    try {
      for (let at = 0; at < sequences; at += rowsPerMicrobatch) {
        signal?.throwIfAborted();
        const part = rollouts.slice(at, at + rowsPerMicrobatch);
        values.push(await this.#pass.run(part, { weight: 1 / sequences, width: sources.width }));
      }
      signal?.throwIfAborted();
    } catch (error) {
      this.#optimizer.zeroGradients();
      throw error;
    }
    const gradientNorm = await this.#optimizer.apply();

    const tokens = generations.reduce((sum, { length }) => sum + length, 0);
    const total = (of: (v: TokenValues) => Float32Array[]): number => {
      return values.flatMap(of).reduce((sum, row) => row.reduce((s, x) => s + x, sum), 0);
    };
    const divergence = total((v) => v.divergence);
    return {
      step: this.step,
      kl: divergence / sequences,
      klPerToken: divergence / tokens,
      diversity: diversities[0] ?? null,
      diversities,
      entropy: total((v) => v.entropy) / tokens,
      gradientNorm,
      learningRate: learningRateAt(this.step, this.settings.optimizer),
      tokens,
      tokensPerSecond: tokens / ((performance.now() - begin) / 1000),
    };
  }

  /** N generations for each chosen prompt, in order. */
  async #rollouts(chosen: readonly number[], sources: PromptSources, signal: AbortSignal | undefined) {
    const { rollouts, samplesPerPrompt, maxTokens, stopToken, temperature, seed } = this.settings;
    // A random stream of its own for every step: a resumed run draws what an uninterrupted one would.
    const random = new Random(seed).fork('rollouts').fork(this.step);
    if (rollouts === 'data') {
      return chosen.flatMap((prompt) => {
        const known = sources.answers?.[prompt] as readonly Int32Array[];
        return Array.from({ length: samplesPerPrompt }, () => known[random.integer(known.length)] as Int32Array);
      });
    }
    const { student, teacher } = this.options;
    const guided = rollouts === 'teacher' && sources.negatives !== null;
    const sampler = new Sampler(rollouts === 'teacher' ? teacher.model : student, {
      temperature,
      seed: random.word(),
      batchSize: chosen.length * samplesPerPrompt,
      ...(stopToken !== null && { stopToken }),
      ...(guided && {
        guidance: {
          scale: Float32Array.from(chosen, (prompt) => sources.scales[prompt] as number),
          negative: chosen.map((prompt) => sources.negatives?.[prompt] as Int32Array),
        },
      }),
    });
    const generations: Generation[] = [];
    const prompts = chosen.map((prompt) => sources.prompts[prompt] as Int32Array);
    for await (const generation of sampler.generate(prompts, { samplesPerPrompt, maxTokens, signal })) {
      generations.push(generation);
    }
    return generations.map(({ tokens }) => tokens);
  }

  /** The diversities of this step's generations by each embedder, and each one's Σ_k β_k A_k. Over the whole step. */
  async #rewards(generations: readonly Int32Array[], signal: AbortSignal | undefined) {
    const { samplesPerPrompt: samples, promptsPerStep: prompts } = this.settings;
    const advantages = new Float64Array(generations.length);
    const diversities: number[] = [];
    for (const { embedder, weight } of samples < 2 ? [] : rewardsOf(this.options)) {
      const { dimensions } = embedder;
      const embeddings = await embedOnHost(embedder, generations, signal);
      const { advantage, diversity } = diversityReward(embeddings, { prompts, samples, dimensions });
      advantage.forEach((a, i) => {
        advantages[i] = (advantages[i] as number) + weight * a;
      });
      diversities.push(diversity.reduce((a, b) => a + b, 0) / prompts);
    }
    return { advantages, diversities };
  }

  /** The score-function term: every token is charged with the divergence of those after it. */
  async #addScoreFunction(rollouts: readonly Rollout[], width: number, sequences: number): Promise<void> {
    const { rowsPerMicrobatch } = this.settings;
    for (let at = 0; at < rollouts.length; at += rowsPerMicrobatch) {
      const part = rollouts.slice(at, at + rowsPerMicrobatch);
      const { divergence } = await this.#valuesOnly.run(part, { weight: 1, width });
      part.forEach(({ coefficients }, i) => {
        const costs = divergence[i] as Float32Array;
        let future = 0;
        for (let n = costs.length - 1; n >= 0; n--) {
          coefficients[n] = (coefficients[n] as number) - future / sequences;
          future += costs[n] as number;
        }
      });
    }
  }

  #checkedAnswers(prompts: readonly Int32Array[], answers: RunOptions['answers']): RunOptions['answers'] {
    if (this.settings.rollouts !== 'data') return undefined;
    const { maxTokens } = this.settings;
    if (answers?.length !== prompts.length || answers.some((list) => list.length === 0)) {
      throw new ValueError("answers: expected at least one answer per prompt with rollouts 'data'", 'answers');
    }
    answers.forEach((list, p) => {
      list.forEach((answer, i) => {
        const name = `answers[${p}][${i}]`;
        checkTokens(answer, this.student.vocabularySize, name);
        if (answer.length > maxTokens) {
          throw new ValueError(`${name}: expected at most maxTokens = ${maxTokens} tokens, got ${answer.length}`, name);
        }
      });
    });
    return answers;
  }

  /**
   * Writes everything a resumed run needs into a folder. The training state is one file, replaced atomically; teacher
   * and embedder, which do not change, are written once, where they are built-in models.
   */
  async save(folder: string): Promise<void> {
    if (this.#savedTo !== folder) {
      await saveFrozenModels(folder, this.options);
      this.#savedTo = folder;
    }
    const header = { kind: KIND, options: describeTrainer(this.settings, this.options) };
    await saveTraining(join(folder, TRAINER_FILES.training), header, this.student.parameters(), this.#optimizer);
  }

  /**
   * A trainer that goes on where `save` left off, bit for bit on the same device and instruction set. Models and embedders
   * that are not built in must be given again; any option given here replaces the saved one.
   *
   * Rejects with CheckpointError when files are missing, damaged, or need a model that was not given, with DeviceError
   * when the device is not there.
   */
  static async resume(folder: string, given: ResumeOptions = {}): Promise<Trainer> {
    const path = join(folder, TRAINER_FILES.training);
    const file = await loadTraining(path, KIND);
    const trainer = new Trainer(await savedTrainerOptions(folder, file.options as SavedTrainer, given));
    restoreTraining(file, path, trainer.student.parameters(), trainer.#optimizer);
    return trainer;
  }

  /** Frees the optimiser's state. The models stay. */
  dispose(): void {
    this.#pass.dispose();
    this.#valuesOnly.dispose();
    this.#optimizer.dispose();
  }
}

interface PromptSources {
  prompts: readonly Int32Array[];
  negatives: readonly Int32Array[] | null;
  scales: Float32Array;
  answers: RunOptions['answers'];
  /** Positions that prompts are padded to. */
  width: number;
}
