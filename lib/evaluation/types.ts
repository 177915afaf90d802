/** The families of points on the front. */
export type Family = 'base' | 'guidance' | 'temperature' | 'top-k' | 'nucleus' | 'distilled' | 'merged';

/** Parameters of a point: only those that apply and that differ from the base's sampling. */
export interface PointParameters {
  /** Diversity weight β of a distilled model; for a merged model that of its diverse end. */
  beta?: number;
  /** Interpolation weight λ of a merged model. */
  lambda?: number;
  /** Guidance scale γ. */
  scale?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
}

/** A 95 % interval, [low, high]. */
export type Interval = [low: number, high: number];

/** One generator (a model and a way to sample from it), judged on the held-out prompts. */
export interface Point {
  name: string;
  family: Family;
  parameters: PointParameters;
  /** Share of valid generations, in [0, 1]. */
  quality: number;
  /** Mean pairwise 1 − cosine of the embeddings of one prompt's generations, averaged over prompts. */
  diversity: number;
  /** A second measure of diversity that no model was rewarded for. */
  independentDiversity: number;
  /** Distinct valid generations per prompt. */
  distinctValid: number;
  /** Forward passes of one row for each generated token: 1, or 2 under guidance. */
  passesPerToken: number;
  tokensPerSecond: number;
  /** Bootstrap 95 % intervals over prompts. */
  interval: { quality: Interval; diversity: Interval };
}

export interface Claim {
  claim: string;
  holds: boolean;
  figures: Record<string, number | number[]>;
  why: string;
}

export interface FailureSign {
  sign: string;
  seen: boolean;
  figures: Record<string, number | number[]>;
}

/** The content of `report.json`. */
export interface Report {
  schema: 1;
  task: string;
  seed: number;
  heldOutPrompts: number;
  samplesPerPrompt: number;
  points: Point[];
  /** Names of the points that no other point beats in both quality and diversity, by falling quality. */
  front: string[];
  claims: Claim[];
  failureSigns: FailureSign[];
  embedder: { retrievalAt1: number; candidates: number };
  /** Wall-clock seconds per stage. */
  seconds: Record<string, number>;
  /** Plain remarks that a reader must not miss, such as that captions were corrupted on purpose. */
  notes: string[];
  /** Curves of every training stage, by stage name: parallel arrays. */
  training: Record<string, TrainingCurve>;
}

/** A training stage's metrics at some of its steps: `step` and every metric have the same length. */
export interface TrainingCurve {
  step: number[];
  metrics: Record<string, number[]>;
}
