import type { Embedder } from './embedders/embedder.ts';
import { ValueError } from './errors.ts';
import type { LanguageModel } from './models/language-model.ts';
import type { DeviceId, Divergence } from './native.ts';
import { checkSampling, type Guidance } from './sampling-options.ts';
import type { OptimizerOptions } from './training/optimizer.ts';

/** Where the sequences come from on which student and teacher are compared. */
export type RolloutSource = 'student' | 'teacher' | 'data';

/** A reward for generations of one prompt that differ. */
export interface DiversityReward {
  /** May run on a device of its own. */
  embedder: Embedder;
  /** β, at least 0; with 0 the diversity is measured and not rewarded. */
  weight: number;
}

export interface TrainerOptions {
  /** Trained in place, on the device it is on. Usually `base.clone()`. */
  student: LanguageModel;
  /** Frozen; with guidance, the guided teacher. On the student's device; it may compute in another type. */
  teacher: { model: LanguageModel; guidance?: Guidance };
  /**
   * Rewards generations of one prompt for differing, in the eyes of one embedder or of several, each with a weight of its
   * own: Σ_k β_k D_k. Absent or all weights 0: pure distillation.
   */
  diversity?: DiversityReward | readonly DiversityReward[];
  /** Generations per prompt, N. Default 4; at least 2 with a diversity weight. */
  samplesPerPrompt?: number;
  /** Prompts per step, P. Default 32. */
  promptsPerStep?: number;
  /** Most tokens of a generation, its stop token included. */
  maxTokens: number;
  /** The token that ends a generation. Default: none. */
  stopToken?: number;
  /**
   * Temperature of the rollouts and of both distributions in the loss, > 0. Default 0.99. There is no top-k, top-p or
   * constraint here: the distribution differentiated must be the one that was sampled from.
   */
  temperature?: number;
  /** 'student' (default): on-policy. A diversity weight above 0 and `scoreFunction` need it: they would be biased. */
  rollouts?: RolloutSource;
  /** Default 'reverse': KL(student ‖ teacher). */
  divergence?: Divergence;
  /** The teacher's share of the mixture in the generalised Jensen-Shannon divergence, in (0, 1). Default 0.5. */
  jsdWeight?: number;
  /**
   * Adds the score-function term, so that the gradient is the full one of the expected divergence instead of the
   * semi-gradient that holds the sampled prefix constant. Costs a second forward pass. Default false.
   */
  scoreFunction?: boolean;
  optimizer: OptimizerOptions;
  /** Generations per forward and backward pass; bounds the memory and changes nothing else. Default: all. */
  rowsPerMicrobatch?: number;
  /** Integer of [0, 2^53). Default 0. */
  seed?: number;
}

/** The options that are plain data, with their defaults filled in: what a training file holds. */
export type TrainerSettings = Required<
  Pick<
    TrainerOptions,
    | 'samplesPerPrompt'
    | 'promptsPerStep'
    | 'maxTokens'
    | 'temperature'
    | 'rollouts'
    | 'divergence'
    | 'jsdWeight'
    | 'scoreFunction'
    | 'rowsPerMicrobatch'
    | 'seed'
  >
> & {
  stopToken: number | null;
  /** In the form that `diversity` has: one, or a list. */
  diversityWeight: number | readonly number[];
  optimizer: OptimizerOptions;
};

/** The rewards as a list, in order. */
export function rewardsOf({ diversity }: Pick<TrainerOptions, 'diversity'>): readonly DiversityReward[] {
  if (diversity === undefined) return [];
  return isList(diversity) ? diversity : [diversity];
}

/** Whether the rewards are given as a list. */
export function isList<T>(one: T | readonly T[]): one is readonly T[] {
  return Array.isArray(one);
}

/** Fills in the defaults and checks. Throws ValueError naming the first option that is wrong. */
export function settingsOf(options: TrainerOptions): TrainerSettings {
  const { samplesPerPrompt = 4, promptsPerStep = 32 } = options;
  const settings: TrainerSettings = {
    samplesPerPrompt,
    promptsPerStep,
    maxTokens: options.maxTokens,
    stopToken: options.stopToken ?? null,
    temperature: options.temperature ?? 0.99,
    rollouts: options.rollouts ?? 'student',
    divergence: options.divergence ?? 'reverse',
    jsdWeight: options.jsdWeight ?? 0.5,
    scoreFunction: options.scoreFunction ?? false,
    diversityWeight: weightsOf(options.diversity),
    optimizer: options.optimizer,
    rowsPerMicrobatch: options.rowsPerMicrobatch ?? samplesPerPrompt * promptsPerStep,
    seed: options.seed ?? 0,
  };
  const refuse = (name: string, expected: string, got: unknown): never => {
    throw new ValueError(`${name}: expected ${expected}, got ${got}`, name);
  };
  for (const key of ['samplesPerPrompt', 'promptsPerStep', 'maxTokens', 'rowsPerMicrobatch'] as const) {
    if (!(Number.isInteger(settings[key]) && settings[key] >= 1))
      refuse(key, 'an integer of at least 1', settings[key]);
  }
  if (!(Number.isSafeInteger(settings.seed) && settings.seed >= 0)) {
    refuse('seed', 'an integer from 0 to 2^53 - 1', settings.seed);
  }
  checkSampling({ temperature: settings.temperature });
  if (settings.temperature === 0) refuse('temperature', 'more than 0 in training', 0);
  if (!['student', 'teacher', 'data'].includes(settings.rollouts)) {
    refuse('rollouts', "'student', 'teacher' or 'data'", `'${settings.rollouts}'`);
  }
  if (!['reverse', 'forward', 'jsd'].includes(settings.divergence)) {
    refuse('divergence', "'reverse', 'forward' or 'jsd'", `'${settings.divergence}'`);
  }
  if (!(settings.jsdWeight > 0 && settings.jsdWeight < 1))
    refuse('jsdWeight', 'a number in (0, 1)', settings.jsdWeight);
  const rewards = rewardsOf(options);
  rewards.forEach(({ weight }, k) => {
    if (typeof weight === 'number' && weight >= 0 && Number.isFinite(weight)) return;
    const name = options.diversity && isList(options.diversity) ? `diversity[${k}].weight` : 'diversity.weight';
    refuse(name, 'a number of at least 0', weight);
  });
  const rewarded = rewards.some(({ weight }) => weight > 0);
  if (rewarded && samplesPerPrompt < 2) {
    refuse('samplesPerPrompt', 'at least 2 with a diversity weight', samplesPerPrompt);
  }
  if (settings.rollouts !== 'student' && (rewarded || settings.scoreFunction)) {
    refuse('rollouts', "'student' with a diversity weight or the score function", `'${settings.rollouts}'`);
  }
  const { student, teacher } = options;
  if (student.vocabularySize !== teacher.model.vocabularySize) {
    refuse('teacher.model', `the student's vocabulary of ${student.vocabularySize}`, teacher.model.vocabularySize);
  }
  const watched = new Set([...student.parameters()].map(({ tensor }) => tensor));
  if ([...teacher.model.parameters()].some(({ tensor }) => watched.has(tensor))) {
    refuse('teacher.model', 'weights of its own, which stay as they are', "the student's");
  }
  const [places, teacherPlaces] = [devicesOf(student), devicesOf(teacher.model)];
  if (places.length > 1) refuse('student', 'parameters on one device', places.join(' and '));
  if (places.length > 0 && teacherPlaces.some((place) => place !== places[0])) {
    refuse('teacher.model', `the student's device, ${places[0]}`, teacherPlaces.join(' and '));
  }
  const { stopToken } = settings;
  if (stopToken !== null && !(Number.isInteger(stopToken) && stopToken >= 0 && stopToken < student.vocabularySize)) {
    refuse('stopToken', `a token below ${student.vocabularySize}`, stopToken);
  }
  return settings;
}

function weightsOf(diversity: TrainerOptions['diversity']): number | readonly number[] {
  if (diversity === undefined) return 0;
  return isList(diversity) ? diversity.map(({ weight }) => weight) : diversity.weight;
}

/** The devices of a model's parameters. */
function devicesOf(model: LanguageModel): DeviceId[] {
  return [...new Set([...model.parameters()].map(({ tensor }) => tensor.deviceId))];
}
