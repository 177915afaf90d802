import { CheckpointError, DTypeError, ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import { Turns } from '../turns.ts';
import type { Embedder } from './embedder.ts';
import { checkedEmbeddings } from './function-embedder.ts';
import {
  type OnnxData,
  type OnnxRuntime,
  type OnnxSession,
  type OnnxTensor,
  onnxRuntime,
  onnxType,
} from './onnx-runtime.ts';

/** An input of an ONNX model. */
export interface OnnxInput {
  /** Row-major; its class says the element type: float32, float64, int32 or int64. */
  readonly data: OnnxData;
  readonly shape: readonly number[];
}

export interface OnnxEmbedderOptions {
  /** All inputs of the model, by their names, for some generations: at most `batchSize` at a time. */
  inputs: (
    generations: readonly Int32Array[],
    signal?: AbortSignal,
  ) => Readonly<Record<string, OnnxInput>> | Promise<Readonly<Record<string, OnnxInput>>>;
  /** The output that holds the embeddings, float32 [n, dimensions]. Default: the model's only one. */
  output?: string;
  /** Default: the last dimension of the output, where the model says it. */
  dimensions?: number;
  /** Generations given to the model at once: bounds the memory, and how long the event loop is held. Default 32. */
  batchSize?: number;
  /** As ONNX Runtime takes them: execution providers, threads. */
  session?: Readonly<Record<string, unknown>>;
}

/**
 * An ONNX model as an `Embedder`, by the package `onnxruntime-node`, which users install themselves. ONNX Runtime holds the
 * event loop while it runs a batch; between batches it is let in.
 */
export class OnnxEmbedder implements Embedder {
  readonly dimensions: number;
  readonly #runtime: OnnxRuntime;
  readonly #session: OnnxSession;
  readonly #inputs: OnnxEmbedderOptions['inputs'];
  readonly #output: string;
  readonly #batchSize: number;

  private constructor(
    runtime: OnnxRuntime,
    session: OnnxSession,
    { inputs, output, dimensions, batchSize }: Required<Omit<OnnxEmbedderOptions, 'session'>>,
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.#inputs = inputs;
    this.#output = output;
    this.#batchSize = batchSize;
    this.dimensions = dimensions;
  }

  /**
   * Reads a model.
   *
   * @param path of an .onnx file
   * @throws ValueError naming an option that is wrong or must be given for this model, DependencyError where
   *   onnxruntime-node is missing or cannot be loaded, CheckpointError for a file that ONNX Runtime refuses
   */
  static async load(path: string, options: OnnxEmbedderOptions): Promise<OnnxEmbedder> {
    const { inputs, batchSize = 32 } = options;
    if (typeof inputs !== 'function') {
      throw new ValueError(`inputs: expected a function, got ${typeof inputs}`, 'inputs');
    }
    checkPositive('batchSize', batchSize);
    if (options.dimensions !== undefined) checkPositive('dimensions', options.dimensions);
    const runtime = await onnxRuntime();
    let session: OnnxSession;
    try {
      session = await runtime.InferenceSession.create(path, options.session ?? {});
    } catch (cause) {
      throw new CheckpointError(`${path}: expected an ONNX model: ${messageOf(cause)}`, path, { cause });
    }
    try {
      const output = outputOf(session, options.output);
      const dimensions = options.dimensions ?? dimensionsOf(session, output);
      return new OnnxEmbedder(runtime, session, { inputs, output, dimensions, batchSize });
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /**
   * @throws what `inputs` throws, the signal's reason when it aborts, ShapeError, DTypeError or ValueError naming an input
   *   that does not fit, or for an output that is not finite numbers [n, dimensions]
   */
  async embed(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    const result = hostArray('float32', generations.length * this.dimensions, 'the embeddings');
    const turns = new Turns();
    for (let begin = 0; begin < generations.length; begin += this.#batchSize) {
      signal?.throwIfAborted();
      const part = generations.slice(begin, begin + this.#batchSize);
      const feeds = this.#feeds(await this.#inputs(part, signal));
      signal?.throwIfAborted();
      const values = checkedEmbeddings(await this.#run(feeds), [part.length, this.dimensions], this.#output);
      result.set(values, begin * this.dimensions);
      await turns.pause();
    }
    return result;
  }

  #feeds(inputs: Readonly<Record<string, OnnxInput>>): Record<string, OnnxTensor> {
    const { inputNames } = this.#session;
    const given = Object.keys(inputs);
    if (given.length !== inputNames.length || given.some((name) => !inputNames.includes(name))) {
      throw new ValueError(`inputs: expected ${inputNames.join(', ')}, got ${given.join(', ') || 'none'}`, 'inputs');
    }
    const feeds: Record<string, OnnxTensor> = {};
    for (const [name, { data, shape }] of Object.entries(inputs)) {
      const type = onnxType(data);
      if (type === null) {
        throw new DTypeError(
          `inputs.${name}: expected a Float32Array, Float64Array, Int32Array or BigInt64Array`,
          `inputs.${name}`,
        );
      }
      const size = shape.reduce((a, b) => a * b, 1);
      if (size !== data.length) {
        throw new ShapeError(
          `inputs.${name}: expected [${shape.join(', ')}] = ${size} elements, got ${data.length}`,
          `inputs.${name}`,
        );
      }
      feeds[name] = new this.#runtime.Tensor(type, data, shape);
    }
    return feeds;
  }

  async #run(feeds: Readonly<Record<string, OnnxTensor>>): Promise<unknown> {
    try {
      const results = await this.#session.run(feeds, [this.#output]);
      return results[this.#output]?.data;
    } catch (cause) {
      throw new ValueError(`inputs: ONNX Runtime cannot run the model: ${messageOf(cause)}`, 'inputs', { cause });
    }
  }

  /** Frees the model. */
  dispose(): Promise<void> {
    return this.#session.release();
  }
}

function checkPositive(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new ValueError(`${name}: expected an integer of at least 1, got ${value}`, name);
}

function outputOf({ outputNames }: OnnxSession, wanted: string | undefined): string {
  const [only] = outputNames;
  if (wanted === undefined && outputNames.length === 1 && only !== undefined) return only;
  if (wanted !== undefined && outputNames.includes(wanted)) return wanted;
  throw new ValueError(`output: expected one of ${outputNames.join(', ')}, got ${wanted ?? 'none'}`, 'output');
}

function dimensionsOf({ outputMetadata = [] }: OnnxSession, output: string): number {
  const last = outputMetadata.find(({ name }) => name === output)?.shape?.at(-1);
  if (typeof last === 'number' && Number.isInteger(last) && last >= 1) return last;
  throw new ValueError(
    `dimensions: expected it to be given, as the model does not say how wide ${output} is`,
    'dimensions',
  );
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
