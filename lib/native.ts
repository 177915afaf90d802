import { loadAddon } from './addon.ts';
import { CheckpointError, DeviceError, DTypeError, OutOfMemoryError, ShapeError, ValueError } from './errors.ts';

/** Element types by their native names. */
export type DType = 'float32' | 'int32' | 'float16' | 'bfloat16';
export type TypedArrayOf<D extends DType> = D extends 'float32'
  ? Float32Array
  : D extends 'int32'
    ? Int32Array
    : Uint16Array;
/** A device by its full name. */
export type DeviceId = 'cpu' | `cuda:${number}`;

/** A tensor of the addon: dense, row-major, on one device. */
export interface NativeTensor {
  dispose(): void;
  disposed(): boolean;
  shape(): number[];
  dtype(): DType;
  device(): DeviceId;
  /** The same memory under another shape, from an offset in elements. */
  view(shape: readonly number[], offset: number): NativeTensor;
  /** Copies `data` at the call; the content changes in queue order. */
  write(data: Float32Array | Int32Array | Uint16Array): void;
  read(): Promise<Float32Array | Int32Array | Uint16Array>;
}

declare const programBrand: unique symbol;
export interface NativeProgram {
  readonly [programBrand]: true;
}

export type Divergence = 'reverse' | 'forward' | 'jsd';
export type Activation = 'gelu' | 'gelu-tanh' | 'silu';

type T = NativeTensor;
/** Elements in host memory: a Float32Array of float32, a Uint16Array of float16 or bfloat16, as a `dtype` says. */
type HostElements = Float32Array | Uint16Array;
/** Types of elements that kernels compute with. */
export type FloatDType = Exclude<DType, 'int32'>;

interface CoreAddon {
  /** Error classes by native error code. */
  setErrorClasses(classes: unknown[]): void;
  isa(): 'baseline' | 'avx2' | 'avx512';
  /**
   * How far a vector function of the CPU kernels is from the exact value, over the float32 numbers whose bits are
   * first + i · step, i < count: the largest error in units in the last place and where it is, and how many results are
   * wrong that must be exact (NaN, infinities, zeros).
   */
  mathAccuracy(
    name: 'exp' | 'exp_scaled' | 'exp_negative' | 'log',
    first: number,
    step: number,
    count: number,
  ): { ulps: number; at: number; wrong: number; wrongAt: number };
  /** Sets (when given) and returns how many threads share a loop. */
  threads(count?: number): number;
  createTensor(
    device: DeviceId,
    dtype: DType,
    shape: readonly number[],
    data?: Float32Array | Int32Array | Uint16Array,
  ): T;
  deviceName(device: DeviceId): string;
  cudaCount(): number;
  synchronize(device: DeviceId): Promise<void>;
  /** Bytes in use, held and at the peak since the last reset. */
  memory(device: DeviceId, resetPeak: boolean): { used: number; reserved: number; peak: number };
  setMemoryLimit(device: DeviceId, bytes: number | null): void;
  trimMemory(device: DeviceId): Promise<void>;
  /** Holds for what is enqueued afterwards. */
  setOption(device: DeviceId, option: 'tf32', on: boolean): void;
  /** One timer per device; between the two calls lies what is timed. */
  startTimer(device: DeviceId): Promise<void>;
  /** Milliseconds of the device from the start to here. */
  stopTimer(device: DeviceId): Promise<number>;
  /**
   * What the CPU's queue has run since profiling began, longest first; then begins anew (true), stops (false) or goes on.
   * flops: of products and attention; bytes: that elementwise operations, norms and losses must move; 0 elsewhere.
   */
  profile(
    on?: boolean,
  ): { name: string; shape: string; calls: number; seconds: number; flops: number; bytes: number }[];
  /** For benchmarks: keeps all threads at multiply-adds that wait for nothing. Returns the flops, 2 each. */
  multiplyAdds(rounds: number): number;
  /** Whether this process has the CUDA device open already. */
  cudaOpen(device: DeviceId): boolean;
  /** The file of the CUDA backend, null when it is in none of the places tried. Loads nothing. */
  cudaLibrary(): { path: string | null; tried: string[] };
  /** How many of the CPU's operations the CUDA backend does not have. Loads the backend, asks no driver. */
  cudaMissing(): number;
  /** What the CUDA backend finds on the machine, as JSON. Asks the driver. */
  cudaReport(): string;
  /** Until endProgram(), operations are recorded and not run. */
  beginProgram(): void;
  endProgram(): NativeProgram;
  replayProgram(program: NativeProgram): void;
  disposeProgram(program: NativeProgram): void;
}

/**
 * `…Now` functions work on host memory at once; the others on tensors, in queue order. Logits, their gradient and
 * embeddings are float32 or bfloat16, merged tensors float16, too, the same for all of an operation; everything else is
 * float32 or int32.
 */
interface KernelAddon {
  guidedLogitsNow(
    cond: HostElements,
    uncond: HostElements,
    scale: number | Float32Array,
    vocab: number,
    out: HostElements,
    dtype: FloatDType,
  ): HostElements;
  guidedLogits(cond: T, uncond: T, scale: number | T): T;
  sampleGuidedNow(
    cond: HostElements,
    uncond: HostElements | null,
    scale: number | Float32Array,
    vocab: number,
    temperature: number,
    topK: number | undefined,
    topP: number | undefined,
    seed: number,
    offset: number | Int32Array,
    tokens: Int32Array,
    logProbs: Float32Array,
    dtype: FloatDType,
    allowed?: Uint32Array,
  ): void;
  sampleGuided(
    cond: T,
    uncond: T | null,
    scale: number | T,
    temperature: number,
    topK: number | undefined,
    topP: number | undefined,
    seed: number,
    offset: number | T,
    allowed?: T,
  ): [tokens: T, logProbs: T];
  /**
   * One decoding step, in place on position … historyLogProbs and state (native/ops/guidance/guidance.h). The last three,
   * all or none, are an automaton's.
   */
  decodeSample(
    logits: T,
    scales: T,
    streams: T,
    temperature: number,
    topK: number | undefined,
    topP: number | undefined,
    seed: number,
    stopToken: number | undefined,
    position: T,
    finished: T,
    unfinished: T,
    next: T,
    history: T,
    historyLogProbs: T,
    state?: T,
    allowed?: T,
    transitions?: T,
  ): void;
  /** Fills perToken [rows], entropy [rows] of the student and grad [rows, vocab], which is of the logits' type or
   *  float32; returns the loss. */
  distillationLossNow(
    student: HostElements,
    cond: HostElements,
    uncond: HostElements | null,
    vocab: number,
    scale: number | Float32Array,
    temperature: number,
    divergence: Divergence,
    jsdWeight: number,
    weights: Float32Array | undefined,
    tokens: Int32Array | undefined,
    coefficients: Float32Array | undefined,
    perToken: Float32Array,
    entropy: Float32Array,
    grad: HostElements,
    dtype: FloatDType,
    gradDtype: FloatDType,
  ): number;
  distillationLoss(
    student: T,
    cond: T,
    uncond: T | null,
    scale: number | T,
    temperature: number,
    divergence: Divergence,
    jsdWeight: number,
    weights: T | undefined,
    tokens: T | undefined,
    coefficients: T | undefined,
  ): [loss: T, perToken: T, entropy: T, grad: T];
  diversityRewardNow(
    embeddings: HostElements,
    prompts: number,
    samples: number,
    dimensions: number,
    baselines: Float32Array | undefined,
    reward: Float32Array,
    advantage: Float32Array,
    diversity: Float32Array,
    dtype: FloatDType,
  ): void;
  diversityReward(embeddings: T, baselines: T | undefined): [reward: T, advantage: T, diversity: T];
  lerpNow(a: HostElements, b: HostElements, weight: number, out: HostElements, dtype: FloatDType): void;
  lerp(a: T, b: T, weight: number): T;
  weightedAverageNow(
    arrays: readonly HostElements[],
    weights: readonly number[],
    out: HostElements,
    dtype: FloatDType,
  ): void;
  weightedAverage(tensors: readonly T[], weights: readonly number[]): T;
  /** Σ_i coefficients[i] · arrays[i]; an array of coefficient 0 is not read. */
  weightedSumNow(
    arrays: readonly HostElements[],
    coefficients: readonly number[],
    out: HostElements,
    dtype: FloatDType,
  ): void;
  slerpNow(a: HostElements, b: HostElements, weight: number, out: HostElements, dtype: FloatDType): void;
  slerp(a: T, b: T, weight: number): T;
  /** a·a, a·b and b·b in double, added in an order that the length alone decides. */
  scalarProductsNow(a: HostElements, b: HostElements, dtype: FloatDType): [aa: number, ab: number, bb: number];
  /** What slerp multiplies a and b by (native/ops/merge/slerp.h), from their scalar products [a·a, a·b, b·b]. An error
   *  for opposite directions, or a product that is not finite. */
  slerpFactors(products: readonly number[], weight: number): [ofA: number, ofB: number];
}

/** Tensors that models compute on are float32 or bfloat16, the same for all of an operation; what is [n] or [rows]
 *  beside them (gains, biases, statistics, weights, losses) is float32, and so are gradients of parameters. */
interface NnAddon {
  /** In place: every element of `target` (float32, int32 or bfloat16, to which the value is rounded). */
  fill(target: T, value: number): void;
  add(a: T, b: T): T;
  /** In place: target += source · factor. */
  accumulate(target: T, source: T, factor: number): void;
  scale(x: T, factor: number): T;
  /** [rows, n] → [n] */
  sumRows(x: T): T;
  /** any → [1] */
  sumAll(x: T): T;
  /** Now; the read bandwidth that benchmarks compare with. */
  sumNow(x: Float32Array): number;
  /** [rows, …] → [rows · times, …], each row `times` times in a row; float32 or int32. */
  repeatRows(x: T, times: number): T;
  /** Kept elements are divided by 1 − probability; its own backward on the gradient. */
  dropout(x: T, probability: number, seed: number, stream: number): T;
  /** (starts [rows], position [1]) int32 → position − starts, at least 0. */
  rowPositions(starts: T, position: T): T;
  /** In place: counter [1] += by. */
  advance(counter: T, by: number): void;
  /** The elements as another type (float32, float16, bfloat16), rounded to the nearest. */
  cast(x: T, dtype: DType): T;

  /** op(a) · op(b) + bias; a is [m, k] ([k, m] when transposed), b is [k, n] ([n, k]). With `into` it is added there.
   *  Of the operands' type, or float32 with `floatOut`; bias is float32. */
  matmul(a: T, b: T, transposeA: boolean, transposeB: boolean, bias: T | null, into: T | null, floatOut?: boolean): T;

  /** qkv [rows, positions, 3, heads, headDim]; keys starts[r] ≤ j < ends[r], j ≤ i when causal. Output
   *  [rows, positions, heads · headDim], log-sum-exp [rows, heads, positions]. A query without keys gives 0. */
  attentionForward(qkv: T, starts: T, ends: T, causal: boolean): [out: T, lse: T];
  attentionBackward(qkv: T, starts: T, ends: T, causal: boolean, out: T, lse: T, gradOut: T): T;
  /** The same without a causal order, queries and keys from different tensors: q [rows, queries, heads, headDim], kv
   *  [rows, keys, 2, heads, headDim]. Output [rows, queries, heads · headDim], log-sum-exp [rows, heads, queries]. */
  crossAttentionForward(q: T, kv: T, starts: T, ends: T): [out: T, lse: T];
  crossAttentionBackward(q: T, kv: T, starts: T, ends: T, out: T, lse: T, gradOut: T): [gradQ: T, gradKv: T];
  /** In place: keys and values of qkv [rows, positions, 3, heads, headDim] into cache [2, rows, heads, capacity, headDim] at position [1]. */
  cacheWrite(qkv: T, cache: T, position: T): void;
  /** Writes the keys and values of qkv [rows, 1, 3, heads, headDim] at position [1] and attends to starts[r] … position. → [rows, heads · headDim] */
  attentionDecode(qkv: T, cache: T, starts: T, position: T): T;
  /** Rotates queries and keys by positions [rows, positions] (int32); `inverse` is the backward. */
  rotary(qkv: T, positions: T, base: number, inverse: boolean): T;

  layerNormForward(x: T, gain: T, bias: T | null, epsilon: number): [y: T, mean: T, inverseStd: T];
  layerNormBackward(
    gradY: T,
    x: T,
    gain: T,
    mean: T,
    inverseStd: T,
    withBias: boolean,
  ): [gradX: T, gradGain: T, gradBias: T | null];
  rmsNormForward(x: T, gain: T, epsilon: number): [y: T, inverseRms: T];
  rmsNormBackward(gradY: T, x: T, gain: T, inverseRms: T): [gradX: T, gradGain: T];
  /** Rows of x [rows, n] (float32) divided by their length; a zero row stays zero. */
  l2NormalizeForward(x: T): [y: T, inverseNorm: T];
  l2NormalizeBackward(gradY: T, y: T, inverseNorm: T): T;

  /** table [vocab, n], ids int32 [...] → [..., n] of type float32 or bfloat16; an id out of range is an error. */
  embeddingForward(table: T, ids: T, dtype?: DType): T;
  /** Gradient of the table (float32), summed in a fixed order. */
  embeddingBackward(gradOut: T, ids: T, vocab: number): T;
  /** x [rows, positions, n] → mean over starts[r] ≤ j < ends[r], float32 [rows, n]; an empty range gives 0. */
  maskedMeanForward(x: T, starts: T, ends: T): T;
  /** Of type float32 or bfloat16. */
  maskedMeanBackward(gradOut: T, starts: T, ends: T, positions: number, dtype?: DType): T;

  activationForward(kind: Activation, x: T): T;
  activationBackward(kind: Activation, x: T, gradY: T): T;
  /** x [rows, 2n] → activation(x[:, :n]) · x[:, n:] */
  gatedForward(kind: Activation, x: T): T;
  gatedBackward(kind: Activation, x: T, gradY: T): T;

  /** loss [1] = factor · Σ weights[r] · −log p_r(targets[r]); a target of −1 is not counted. grad = ∂loss/∂logits. */
  crossEntropy(logits: T, targets: T, weights: T | null, factor: number): [loss: T, perRow: T, grad: T];

  /** [1]: the Euclidean norm of all elements of all tensors; an error when it is not finite. */
  globalNorm(gradients: readonly T[]): T;
  /** In place on parameters, first and second moments (Loshchilov and Hutter, 2019). With `norm` and a finite maxNorm
   *  gradients are scaled by min(1, maxNorm / norm). A poisoned gradient or norm leaves everything as it was.
   *  `schedule` (float32 [2]: learning rate, step from 1 to 2²⁴) replaces learningRate and step when the operation runs,
   *  for recorded programs. */
  adamw(
    parameters: readonly T[],
    gradients: readonly T[],
    firstMoments: readonly T[],
    secondMoments: readonly T[],
    weightDecays: readonly number[],
    learningRate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    step: number,
    norm: T | null,
    maxNorm: number,
    schedule?: T | null,
  ): void;
}

/** The addon's typed contract. */
export type NativeAddon = CoreAddon & KernelAddon & NnAddon;

/** By native error code (enum cfgd_code in native/tensor/backend.h). */
const errorClasses = [Error, ShapeError, DTypeError, ValueError, DeviceError, OutOfMemoryError, CheckpointError];

export const native = loadAddon() as NativeAddon;
native.setErrorClasses(errorClasses);
