import { ShapeError } from '../errors.ts';
import { native } from '../native.ts';
import { ComputeWeights } from '../tensor/compute-weights.ts';
import { cast, embedding, reshape } from '../tensor/operations.ts';
import { Program } from '../tensor/program.ts';
import { allOrNothing, keep, scope } from '../tensor/scope.ts';
import { type ComputeType, Tensor } from '../tensor/tensor.ts';
import type { Decoder, DecoderOptions } from './language-model.ts';
import { PlacedBatch } from './placed-batch.ts';
import type { TokenBatch } from './token-batch.ts';
import type { TransformerStack } from './transformer-stack.ts';

/** What decoding needs of a model: its stack, and the way from the residual stream to logits. */
export interface Decodable<C extends ComputeType = ComputeType> {
  readonly stack: TransformerStack<C>;
  logits(x: Tensor<C>): Tensor<C>;
}

/**
 * Decoding with a key/value cache. The prompts are read once and shared by their samples; a step is recorded once, as a
 * program whose position and tokens live in tensors, and replayed.
 */
export class CachedDecoder<C extends ComputeType> implements Decoder<C> {
  readonly logits: Tensor<C>;
  readonly #model: Decodable<C>;
  readonly #weights = new ComputeWeights();
  readonly #rows: number;
  readonly #capacity: number;
  /** Per block: [2, rows, heads, capacity, headWidth]. */
  readonly #caches: readonly Tensor<C>[];
  readonly #starts: Tensor<'int32'>;
  /** [1]: where the next token goes. */
  readonly #position: Tensor<'int32'>;
  #filled: number;
  #program: Program | null = null;
  #input: Tensor<'int32'> | null = null;
  #output: Tensor<C> | null = null;

  constructor(model: Decodable<C>, batch: TokenBatch, { capacity, samplesPerRow = 1 }: DecoderOptions) {
    if (capacity < batch.positions) {
      throw new ShapeError(
        `capacity: expected at least the ${batch.positions} prompt tokens, got ${capacity}`,
        'capacity',
      );
    }
    model.stack.checkLength(capacity, 'capacity');
    const { heads, headWidth } = model.stack.config;
    this.#model = model;
    this.#rows = batch.rows * samplesPerRow;
    this.#capacity = capacity;
    this.#filled = batch.positions;
    const repeated = new Int32Array(this.#rows).map((_, i) => batch.starts[Math.floor(i / samplesPerRow)] as number);
    const { compute } = model.stack;
    const caches: Tensor<C>[] = [];
    const readPrompts = (): Tensor<C> =>
      scope(() => {
        const zero = Tensor.zeros([1], { dtype: 'int32', device: model.stack.device });
        const x = model.stack.hidden(new PlacedBatch(batch, model.stack.device), true, (_, qkv) => {
          const cache = Tensor.zeros<C>([2, batch.rows, heads, capacity, headWidth], {
            dtype: compute,
            device: model.stack.device,
          });
          native.cacheWrite(qkv.handle, cache.handle, zero.handle);
          caches.push(keep(repeatRows(cache, batch.rows, samplesPerRow)));
        });
        const last = new Int32Array(batch.rows).map((_, r) => (r + 1) * batch.positions - 1);
        const final = embedding(cast(x, 'float32'), Tensor.from(last, [batch.rows], model.stack.device), compute);
        const logits = model.logits(final);
        return samplesPerRow === 1 ? logits : new Tensor(native.repeatRows(logits.handle, samplesPerRow), compute);
      });
    const state = allOrNothing(() => ({
      starts: keep(Tensor.from(repeated, [this.#rows], model.stack.device)),
      position: keep(Tensor.from(Int32Array.of(batch.positions), [1], model.stack.device)),
      logits: keep(this.#weights.use(readPrompts)),
    }));
    this.#starts = state.starts;
    this.#position = state.position;
    this.#caches = caches;
    this.logits = state.logits;
  }

  step(tokens: Tensor<'int32'>): Tensor<C> {
    if (tokens.shape.length !== 1 || tokens.shape[0] !== this.#rows) {
      throw new ShapeError(`tokens: expected [${this.#rows}], got [${tokens.shape.join(', ')}]`, 'tokens');
    }
    if (this.#filled === this.#capacity) {
      throw new ShapeError(`capacity: expected at most ${this.#capacity} tokens in a row, got one more`, 'capacity');
    }
    if (this.#input !== tokens) this.#record(tokens);
    this.#filled++;
    this.#program?.replay();
    return this.#output as Tensor<C>;
  }

  #record(tokens: Tensor<'int32'>): void {
    this.#program?.dispose();
    this.#output?.dispose();
    this.#input = null; // as long as nothing is recorded for it
    const model = this.#model;
    const { compute } = model.stack;
    // The weights' copies exist: the prompts were read with them. Only what changes from step to step is recorded.
    const step = (): Tensor<C> =>
      scope(() => {
        const places = new Tensor(native.rowPositions(this.#starts.handle, this.#position.handle), 'int32');
        let x = model.stack.embed(tokens, places);
        const matrix = places.reshape([this.#rows, 1]);
        model.stack.blocks.forEach((block, i) => {
          const cache = this.#caches[i] as Tensor<C>;
          x = block.apply(
            x,
            this.#rows,
            (qkv) => {
              const placed = model.stack.place(qkv, matrix);
              return new Tensor(
                native.attentionDecode(placed.handle, cache.handle, this.#starts.handle, this.#position.handle),
                compute,
              );
            },
            (y) => y,
          );
        });
        const logits = model.logits(x);
        native.advance(this.#position.handle, 1);
        return logits;
      });
    this.#program = new Program(() => {
      this.#output = keep(this.#weights.use(step));
    });
    this.#input = tokens;
  }

  dispose(): void {
    this.#program?.dispose();
    this.#output?.dispose();
    this.logits.dispose();
    this.#starts.dispose();
    this.#position.dispose();
    for (const cache of this.#caches) cache.dispose();
    this.#weights.dispose();
  }
}

/** [2, rows, …] → [2, rows · times, …], each row `times` times in a row. */
function repeatRows<C extends ComputeType>(cache: Tensor<C>, rows: number, times: number): Tensor<C> {
  if (times === 1) return cache;
  const [, , ...rest] = cache.shape;
  const flat = reshape(cache, [2 * rows, -1]);
  return new Tensor(native.repeatRows(flat.handle, times), cache.dtype).reshape([2, rows * times, ...rest]);
}
