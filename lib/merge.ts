import { ValueError } from './errors.ts';
import { averageRecipe, interpolationRecipe, layerRecord } from './merge/recipe.ts';
import { merge } from './merge/run.ts';
import type { AverageLayer, MergeLayer, MergeMethod, StreamOptions } from './merge/types.ts';

export type { AverageLayer, MergeLayer, MergeMethod, MergeProgress } from './merge/types.ts';

export interface MergeOptions extends StreamOptions {
  /**
   * The quality-focused checkpoint, λ = 0: a safetensors file, the index of a sharded one
   * (`model.safetensors.index.json`), or the folder of either.
   */
  quality: string;
  /** The diversity-focused checkpoint, λ = 1: the same tensors, finetuned from the same initialisation. */
  diverse: string;
  /** One output per λ. Outside [0, 1] extrapolates. */
  weights: readonly number[];
  /**
   * Where to write; '{weight}' is replaced by λ and is required for more than one. A file, or where `quality` is sharded
   * a new or empty folder for shards and index.
   */
  output: string;
  /** How the ends are joined. Default 'lerp'. */
  method?: MergeMethod;
  /** Rules for tensors by name; the first that fits decides. Each must fit one at least. */
  layers?: readonly MergeLayer[];
  /** Entries of the outputs' metadata, in place of the quality-focused end's of the same names. */
  metadata?: Readonly<Record<string, string>>;
}

export interface MergedCheckpoint {
  weight: number;
  path: string;
}

export interface AverageOptions extends StreamOptions {
  /** Checkpoints of the same tensors, as in `MergeOptions`. */
  checkpoints: readonly string[];
  /** One per checkpoint. Default: uniform. */
  weights?: readonly number[];
  /** A file, or where the first checkpoint is sharded a new or empty folder. */
  output: string;
  /** Rules for tensors by name; the first that fits decides. Each must fit one at least. */
  layers?: readonly AverageLayer[];
}

/**
 * Interpolates two checkpoints over all floating-point tensors, θ = (1 − λ) θ_q + λ θ_d (arXiv 2410.06084) or along the
 * arc between them, and writes one output per λ. λ = 0 and 1 give the inputs bit for bit; in between the arithmetic is
 * float64, rounded to float32 and, where that is narrower, to the tensor's type.
 *
 * The inputs stream through a few buffers of fixed size, once for all outputs (twice for tensors on an arc that are
 * larger than a buffer). Tensors of whole numbers and the metadata come from the quality-focused end; tensors of other
 * types (F64, C64, F8) are copied where both ends hold the same bytes. `merged_from` in the metadata tells the ends, λ
 * and rules. An output appears whole, when all are on the disk, or not at all.
 *
 * @returns the outputs, in the order of the weights
 * Rejects with CheckpointError when the checkpoints do not hold the same tensors, are models of different configs, are
 * damaged, pickles or missing shards or tensors, and when writing fails (a full disk); with DTypeError for tensors of
 * other types that differ; and with ValueError for weights that are not finite, no '{weight}' where it is needed, rules
 * that fit no tensor, too little memory for a buffer each, values that are not finite on an arc, or an output that is
 * one of the inputs. Nothing is left behind then.
 */
export async function mergeCheckpoints(options: MergeOptions): Promise<MergedCheckpoint[]> {
  const { quality, diverse, weights, output, method, layers } = options;
  if (weights.length === 0) throw new ValueError('weights: expected at least one, got none', 'weights');
  for (const weight of weights) {
    if (!Number.isFinite(weight)) throw new ValueError(`weights: expected finite numbers, got ${weight}`, 'weights');
  }
  const merged = weights.map((weight) => ({ weight, path: output.replaceAll('{weight}', String(weight)) }));
  const targets = merged.map(({ weight, path }) => {
    const from = { quality, diverse, weight, ...(method && { method }), ...layerRecord(layers, weight) };
    return { path, metadata: { ...options.metadata, merged_from: JSON.stringify(from) } };
  });
  await merge([quality, diverse], (names) => interpolationRecipe({ ...options, weights }, names), targets, options);
  return merged;
}

/**
 * Averages checkpoints that were finetuned from one initialisation, Σ weights · θ / Σ weights, and writes the result. A
 * weight of 1 beside zeros gives that checkpoint bit for bit. All else, the errors too, is as in `mergeCheckpoints`, the
 * first checkpoint standing for the quality-focused end.
 */
export async function averageCheckpoints(options: AverageOptions): Promise<void> {
  const { checkpoints, output, layers } = options;
  const weights = options.weights ?? checkpoints.map(() => 1 / checkpoints.length);
  if (checkpoints.length === 0) throw new ValueError('checkpoints: expected at least one, got none', 'checkpoints');
  const from = { checkpoints, weights, ...(layers && layers.length > 0 && { layers }) };
  await merge(
    checkpoints,
    (names) => averageRecipe({ ...options, weights, count: checkpoints.length }, names),
    [{ path: output, metadata: { merged_from: JSON.stringify(from) } }],
    options,
  );
}
