import { CheckpointError, ShapeError } from '../errors.ts';
import { loadModel, type SaveOptions, saveModel } from '../models/model-file.ts';
import type { Parameter } from '../models/parameter.ts';
import type { LoadOptions } from '../models/pooled-encoder.ts';
import { SequenceEncoder, type SequenceEncoderOptions } from '../models/sequence-encoder.ts';
import { checkedCompute } from '../models/transformer-config.ts';
import { device as deviceByName } from '../tensor/device.ts';
import { EncoderEmbedder } from './embedder.ts';

export interface TwoTowerOptions {
  /** Reads prompts. */
  text: SequenceEncoder;
  /** Reads generations; of as many dimensions as `text`, on the same device. */
  music: SequenceEncoder;
}

/** The kind that files state. */
const KIND = 'TwoTower';

/**
 * Two encoders into one space, a text's and a generation's, so that the cosine between them says how well a generation
 * does what its prompt asks for (as MuLan does, Huang et al., 2022). Trained by `TwoTowerTrainer`.
 */
export class TwoTower {
  readonly text: SequenceEncoder;
  readonly music: SequenceEncoder;
  readonly #parameters: readonly Parameter[];

  /** @throws ShapeError for towers of different dimensions or on different devices */
  constructor({ text, music }: TwoTowerOptions) {
    if (music.dimensions !== text.dimensions) {
      throw new ShapeError(
        `music: expected ${text.dimensions} dimensions as of text, got ${music.dimensions}`,
        'music',
      );
    }
    if (music.device !== text.device) {
      throw new ShapeError(`music: expected it on ${text.device.id} as text, got it on ${music.device.id}`, 'music');
    }
    this.text = text;
    this.music = music;
    const named = (prefix: string, parameters: readonly Parameter[]): Parameter[] =>
      parameters.map((parameter) => ({ ...parameter, name: `${prefix}.${parameter.name}` }));
    this.#parameters = [...named('text', text.parameters()), ...named('music', music.parameters())];
  }

  get dimensions(): number {
    return this.text.dimensions;
  }

  /** Those of both towers, their names after `text.` and `music.`. */
  parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  /** [n, dimensions], row-major, not normalised. Equal texts are encoded once. */
  async embedText(texts: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    const numbers = new Map<string, number>();
    const distinct: Int32Array[] = [];
    const rows = texts.map((text) => {
      const key = text.join();
      const known = numbers.get(key);
      if (known !== undefined) return known;
      numbers.set(key, distinct.length);
      return distinct.push(text) - 1;
    });
    const width = this.dimensions;
    const embedded = await new EncoderEmbedder(this.text).embed(distinct, signal);
    const result = new Float32Array(texts.length * width);
    rows.forEach((row, i) => {
      result.set(embedded.subarray(row * width, (row + 1) * width), i * width);
    });
    return result;
  }

  /** [n, dimensions], row-major, not normalised. */
  embedMusic(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    return new EncoderEmbedder(this.music).embed(generations, signal);
  }

  /**
   * The cosine between each text and its generation, in [−1, 1]; 0 with a vector of zeros.
   *
   * @param texts as many as generations; the same one may stand there many times
   * @throws ShapeError for another number of texts than of generations, ValueError for an empty sequence or a token that
   *   its tower does not know, the signal's reason when it aborts
   */
  async score(
    texts: readonly Int32Array[],
    generations: readonly Int32Array[],
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    if (texts.length !== generations.length) {
      throw new ShapeError(
        `texts: expected one for each of ${generations.length} generations, got ${texts.length}`,
        'texts',
      );
    }
    const [a, b] = [await this.embedText(texts, signal), await this.embedMusic(generations, signal)];
    const width = this.dimensions;
    return Float32Array.from(texts, (_, i) => {
      const row = (all: Float32Array) => all.subarray(i * width, (i + 1) * width);
      return cosine(row(a), row(b));
    });
  }

  /** Writes both towers as one safetensors file, atomically. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    const config = { text: this.text.config, music: this.music.config };
    return saveModel(path, KIND, config, this.#parameters, options);
  }

  /**
   * Reads what `save` wrote.
   *
   * @param placement where it goes (default 'auto') and what it computes in (default 'float32')
   * Rejects with CheckpointError when the file is damaged or of another kind, with DeviceError when the device is not
   * there.
   */
  static async load(path: string, { device = 'auto', compute = 'float32' }: LoadOptions = {}): Promise<TwoTower> {
    const placement = { device: await deviceByName(device), compute: checkedCompute(compute) };
    return loadModel(path, KIND, (config) => {
      const towers = config as Partial<Record<'text' | 'music', SequenceEncoderOptions>> | null;
      if (!towers?.text || !towers.music) {
        throw new CheckpointError(`${path}: expected the configs of two towers, text and music`, path);
      }
      const text = new SequenceEncoder(towers.text, placement);
      try {
        return new TwoTower({ text, music: new SequenceEncoder(towers.music, placement) });
      } catch (error) {
        text.dispose();
        throw error;
      }
    });
  }

  dispose(): void {
    this.text.dispose();
    this.music.dispose();
  }
}

/** In float64, clamped to [−1, 1]; 0 where either is zero. */
function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  const lengths = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return lengths > 0 ? Math.max(-1, Math.min(1, dot / lengths)) : 0;
}
