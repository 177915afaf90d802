/** Figures by name, one per generation. */
export type Measures = Readonly<Record<string, ArrayLike<number>>>;

/** What a task knows of a generation's worth. `prompt` is the index among the evaluated prompts. */
export interface Judge {
  /**
   * One finite figure for each generation of a prompt; larger is better. A rule gives 1 or 0, a model that scores how
   * well a generation follows its prompt, say, a cosine in [−1, 1].
   */
  quality(
    prompt: number,
    generations: readonly Int32Array[],
    signal?: AbortSignal,
  ): ArrayLike<number> | Promise<ArrayLike<number>>;
  /** Whether a generation counts among the distinct valid ones. */
  valid(prompt: number, tokens: Int32Array): boolean;
  /** Equal for generations that count as the same. */
  identity(prompt: number, tokens: Int32Array): string;
  /**
   * How different two generations are, by a measure that nothing was rewarded for: a finite number. Needed unless the
   * evaluation has an independent embedder.
   */
  distance?(prompt: number, a: Int32Array, b: Int32Array): number;
  /**
   * Further figures by name, one finite number per generation, whose means over all generations are told beside the
   * quality. The names are the same for every prompt.
   */
  measures?(prompt: number, generations: readonly Int32Array[], signal?: AbortSignal): Measures | Promise<Measures>;
}
