import { checkWaveform } from '../audio/checks.ts';
import { CheckpointError, ShapeError, ValueError } from '../errors.ts';
import { hostArray } from '../host-arrays.ts';
import type { SaveOptions } from '../models/model-file.ts';
import { PatchEncoder } from '../models/patch-encoder.ts';
import type { LoadOptions } from '../models/pooled-encoder.ts';
import { readMetadata } from '../models/safetensors/open.ts';
import { Turns } from '../turns.ts';
import { AudioFront, type AudioFrontOptions } from './audio-front.ts';
import type { Embedder } from './embedder.ts';

export interface AudioEmbedderOptions extends AudioFrontOptions {
  encoder: PatchEncoder;
  /** A generation as it sounds: one channel at the spectrogram's sample rate, 16 kHz by default. */
  toWaveform: (tokens: Int32Array) => Float32Array | Promise<Float32Array>;
  /** Generations encoded at once; bounds the memory. Default 32. */
  batchSize?: number;
  /**
   * Chunks heard of a generation at most, one after another from its begin; its embedding is the mean of theirs. A last
   * chunk that the sound fills by less than half is not heard, but for the first. Default 1.
   */
  chunks?: number;
}

/** The entry of a file's metadata that holds the front's options. */
const METADATA = 'audio';

/**
 * Hears generations: each is turned into a waveform, cut into chunks or padded to one, and embedded as patches of its
 * log-mel spectrogram. The event loop is let in between two of them.
 */
export class AudioEmbedder implements Embedder {
  readonly encoder: PatchEncoder;
  readonly front: AudioFront;
  readonly #toWaveform: AudioEmbedderOptions['toWaveform'];
  readonly #batchSize: number;
  readonly #chunks: number;

  /**
   * @throws ValueError or ShapeError naming an option that is outside its domain, or where the encoder takes other or
   *   fewer patches than a chunk has
   */
  constructor({ encoder, toWaveform, batchSize = 32, chunks = 1, ...front }: AudioEmbedderOptions) {
    for (const [name, value] of Object.entries({ batchSize, chunks })) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new ValueError(`${name}: expected an integer of at least 1, got ${value}`, name);
    }
    if (typeof toWaveform !== 'function') {
      throw new ValueError(`toWaveform: expected a function, got ${typeof toWaveform}`, 'toWaveform');
    }
    this.front = new AudioFront(front);
    const { count, patchSize } = this.front;
    if (encoder.patchSize !== patchSize || encoder.config.maxPositions < count) {
      throw new ShapeError(
        `encoder: expected one of at least ${count} patches of ${patchSize} elements, got one of ` +
          `${encoder.config.maxPositions} of ${encoder.patchSize}`,
        'encoder',
      );
    }
    this.encoder = encoder;
    this.#toWaveform = toWaveform;
    this.#batchSize = batchSize;
    this.#chunks = chunks;
  }

  get dimensions(): number {
    return this.encoder.dimensions;
  }

  /** @throws what `toWaveform` throws, the signal's reason when it aborts, DTypeError or ValueError for a bad waveform */
  embed(generations: readonly Int32Array[], signal?: AbortSignal): Promise<Float32Array> {
    return this.#embed(generations, this.#toWaveform, signal);
  }

  /** The same of waveforms: [n, dimensions], row-major. */
  embedWaveforms(waveforms: readonly Float32Array[], signal?: AbortSignal): Promise<Float32Array> {
    return this.#embed(waveforms, (waveform) => waveform, signal);
  }

  async #embed<T>(
    items: readonly T[],
    toWaveform: (item: T) => Float32Array | Promise<Float32Array>,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const { dimensions } = this;
    const result = hostArray('float32', items.length * dimensions, 'the embeddings');
    const turns = new Turns();
    for (let begin = 0; begin < items.length; begin += this.#batchSize) {
      const sequences: Float32Array[] = [];
      /** The item that each chunk is of. */
      const owners: number[] = [];
      for (let item = begin; item < Math.min(items.length, begin + this.#batchSize); item++) {
        signal?.throwIfAborted();
        for (const chunk of this.#cut(await toWaveform(items[item] as T))) {
          sequences.push(this.front.patches(chunk));
          owners.push(item);
          await turns.pause();
        }
      }
      signal?.throwIfAborted();
      using embeddings = this.encoder.encode(sequences, { argument: 'generations' });
      addMeans(result, await embeddings.read(), owners, dimensions);
    }
    return result;
  }

  /** The chunks of a waveform that are heard. */
  #cut(waveform: Float32Array): Float32Array[] {
    checkWaveform('waveform', waveform);
    const { chunkLength } = this.front;
    const count = Math.min(this.#chunks, Math.max(1, Math.round(waveform.length / chunkLength)));
    return Array.from({ length: count }, (_, i) => waveform.subarray(i * chunkLength, (i + 1) * chunkLength));
  }

  /** Writes the encoder with what it reads: spectrogram, patches and chunk length stand in the file's metadata. */
  save(path: string, { metadata, ...options }: SaveOptions = {}): Promise<void> {
    const front = JSON.stringify(this.front.options);
    return this.encoder.save(path, { ...options, metadata: { ...metadata, [METADATA]: front } });
  }

  /**
   * Reads what `save` wrote.
   *
   * Rejects with CheckpointError when the file is damaged, of another kind, or says nothing of the audio it is for, with
   * DeviceError when the device is not there.
   */
  static async load(
    path: string,
    {
      toWaveform,
      batchSize,
      chunks,
      ...placement
    }: LoadOptions & Pick<AudioEmbedderOptions, 'toWaveform' | 'batchSize' | 'chunks'>,
  ): Promise<AudioEmbedder> {
    const encoder = await PatchEncoder.load(path, placement);
    try {
      const front = frontOf((await readMetadata(path))[METADATA], path);
      const given = { ...(batchSize !== undefined && { batchSize }), ...(chunks !== undefined && { chunks }) };
      return new AudioEmbedder({ ...front, encoder, toWaveform, ...given });
    } catch (error) {
      encoder.dispose();
      throw error;
    }
  }
}

/** Adds each row, divided by how many its owner has, to the owner's row of a result. */
function addMeans(result: Float32Array, rows: Float32Array, owners: readonly number[], dimensions: number): void {
  const counts = new Map<number, number>();
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  owners.forEach((owner, row) => {
    const count = counts.get(owner) as number;
    for (let d = 0; d < dimensions; d++) {
      result[owner * dimensions + d]! += (rows[row * dimensions + d] as number) / count;
    }
  });
}

function frontOf(text: string | undefined, path: string): AudioFrontOptions {
  if (text === undefined) {
    throw new CheckpointError(`${path}: expected an encoder of audio, got one without '${METADATA}' metadata`, path);
  }
  try {
    const { options } = new AudioFront(JSON.parse(text) as AudioFrontOptions);
    return options;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${path}: the '${METADATA}' metadata are not usable: ${why}`, path, { cause });
  }
}
