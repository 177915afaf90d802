/**
 * How two ends are joined. `lerp` is the straight line, (1 − λ) a + λ b. `slerp` is the arc: a tensor's values are taken
 * as one vector, and the result turns from a's direction to b's by the share λ of the angle between them.
 */
export type MergeMethod = 'lerp' | 'slerp';

/** How far a merge is. */
export interface MergeProgress {
  /** Bytes of the outputs' tensors written, over all outputs. */
  done: number;
  total: number;
  /** The tensor that was just worked on. */
  tensor: string;
}

/** A rule for the tensors whose names fit a pattern. */
export interface MergeLayer {
  /**
   * Pattern of the whole name: `*` stands for any characters, dots too, `?` for one, `[0-3]` for one of those (`[!…]`
   * for another), `{a,b}` for either. Case counts.
   */
  pattern: string;
  /** λ of these tensors in every output, or how it follows from the output's. Default: the output's. */
  weight?: number | ((weight: number) => number);
  /** Default: that of the merge. */
  method?: MergeMethod;
}

/** A rule for the tensors whose names fit a pattern. */
export interface AverageLayer {
  /** As in `MergeLayer`. */
  pattern: string;
  /** One per checkpoint. */
  weights: readonly number[];
}

/** What all merges of files take. */
export interface StreamOptions {
  /**
   * Most bytes that the buffers take, whatever the checkpoints' size. Default 256 MB. The tensors pass through them in
   * pieces of at most 1 MiB, so that far less is used for a few checkpoints and outputs; the headers come on top.
   */
  memoryBytes?: number;
  /** Called after each piece written. What it throws ends the merge. */
  onProgress?: ((progress: MergeProgress) => void) | undefined;
  /** Stops within one piece; then nothing is left behind. */
  signal?: AbortSignal | undefined;
}
