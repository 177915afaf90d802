import type { SoundingNote } from '../../audio/performance.ts';
import { normalisePeak, synthesise } from '../../audio/synthesiser.ts';

/** Samples that are kept, 64 MiB of them: then all are forgotten. */
const MOST_SAMPLES = 2 ** 24;
const PEAK = 0.9;

/**
 * Sounds melodies fast: notes come again and again, so the synthesiser sounds each pitch and length once, and a melody is
 * put together from what is kept. Unlike in `synthesise`, notes begin at whole samples, and each is as loud as the others
 * at its loudest sample.
 */
export class NoteBank {
  readonly #sampleRate: number;
  readonly #sounds = new Map<string, Float32Array>();
  #samples = 0;

  /** @param sampleRate in hertz */
  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate;
  }

  /**
   * @param length of the result, in samples: what sounds on after it is cut off
   * @throws ValueError for a note outside the synthesiser's domain
   */
  sound(notes: readonly SoundingNote[], length: number): Float32Array<ArrayBuffer> {
    const result = new Float32Array(length);
    for (const note of notes) {
      const begin = Math.round(note.start * this.#sampleRate);
      const samples = this.#note(note);
      const end = Math.min(length, begin + samples.length);
      for (let at = begin; at < end; at++) result[at]! += samples[at - begin]!;
    }
    normalisePeak(result, PEAK);
    return result;
  }

  #note({ pitch, seconds }: SoundingNote): Float32Array {
    const key = `${pitch} ${seconds.toFixed(6)}`;
    const kept = this.#sounds.get(key);
    if (kept) return kept;
    const sound = synthesise([{ pitch, start: 0, seconds }], { sampleRate: this.#sampleRate, peak: PEAK });
    if (this.#samples + sound.length > MOST_SAMPLES) {
      this.#sounds.clear();
      this.#samples = 0;
    }
    this.#sounds.set(key, sound);
    this.#samples += sound.length;
    return sound;
  }
}
