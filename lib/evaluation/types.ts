/**
 * The families of points on the front. 'off-policy' models were distilled on the teacher's rollouts: they are there to be
 * compared with 'distilled' ones, and no claim of the method is about them.
 */
export type Family = 'base' | 'guidance' | 'temperature' | 'top-k' | 'nucleus' | 'distilled' | 'merged' | 'off-policy';

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
  /** The mean of what the judge says: of a rule the share of valid generations, in [0, 1]; else see `Report.quality`. */
  quality: number;
  /** Mean pairwise 1 − cosine of the embeddings of one prompt's generations, averaged over prompts. */
  diversity: number;
  /** A second measure of diversity that no model was rewarded for. */
  independentDiversity: number;
  /** Distinct valid generations per prompt. */
  distinctValid: number;
  /** Means of further figures over all generations, by name; see `Report.measures`. */
  measures?: Record<string, number>;
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

/** The part of the plane of diversity (x) and quality (y) that points dominate. */
export interface Hypervolume {
  /** Whose points; 'all' for every point. */
  family: Family | 'all';
  /** The area of the union of the rectangles from the origin to each point; what is below 0 counts as 0. */
  value: number;
  /** Bootstrap 95 % interval over prompts. */
  interval: Interval;
  /** How many points. */
  points: number;
}

/** Quality and diversity along a merge path: parallel arrays by rising λ, both ends included. */
export interface MergePathCurve {
  /** Diversity weight β of the diverse end, λ = 1; that of the other is 0. */
  beta: number;
  lambda: number[];
  quality: number[];
  diversity: number[];
  /** Bootstrap 95 % intervals over prompts. */
  interval: { quality: Interval[]; diversity: Interval[] };
  /** Where the path is lowest between its ends. */
  barrier: {
    /** Whether that merge is shown to have less quality than both ends. */
    seen: boolean;
    lambda: number;
    /** The quality of the lower end, minus the merge's; below 0 where every merge is better than the lower end. */
    depth: number;
    interval: Interval;
  };
}

/** How well an embedder finds the other view of a held-out item. */
export interface RetrievalFigures {
  /** Share of the items whose other view is nearest. */
  retrievalAt1: number;
  /** Among how many. */
  candidates: number;
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
  /** Of the embedder that the models were rewarded by. */
  embedder: RetrievalFigures;
  /** What quality is; absent: the share of valid answers. */
  quality?: { name: string; meaning: string };
  /** What the further measures of the points are, by name. */
  measures?: Record<string, string>;
  hypervolumes?: Hypervolume[];
  mergePaths?: MergePathCurve[];
  /** Every embedder, and whether models were rewarded by it. */
  embedders?: ({ name: string; role: 'rewarded' | 'independent' } & RetrievalFigures)[];
  /** How well the model that scores adherence finds a held-out generation's prompt. */
  adherence?: RetrievalFigures;
  /** Points that differ only in who wrote the rollouts they were distilled on. */
  rollouts?: { source: 'student' | 'teacher'; point: string }[];
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
