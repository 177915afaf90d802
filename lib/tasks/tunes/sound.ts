import { type AugmentationRanges, augmentNotes, drawAugmentation } from '../../audio/augment.ts';
import { performTune, type SoundingNote } from '../../audio/performance.ts';
import type { AudioFront } from '../../embedders/audio-front.ts';
import { separateChunks } from '../../embedders/audio-pair.ts';
import type { PositivePair } from '../../embedders/contrastive-pass.ts';
import type { Random } from '../../random.ts';
import { addHiss } from './hiss.ts';
import type { NoteBank } from './note-bank.ts';
import type { TuneTask } from './task.ts';
import { endTies } from './ties.ts';

/** How fast the audio embedder hears tunes, in quarter notes: a chunk of 4 seconds holds 27 eighth notes. */
export const HEARD_BEATS_PER_MINUTE = 300;

/** The notes of a generation in time, in the common key. Ties that lead nowhere, as a model may draw them, are none. */
export function heardNotes(task: TuneTask, tokens: ArrayLike<number>): SoundingNote[] {
  const elements = endTies(task.vocabulary.decode(tokens));
  return performTune({ elements }, { beatsPerMinute: HEARD_BEATS_PER_MINUTE });
}

/** The notes that begin within so many seconds from `begin` on, moved so that the first begins at time 0. */
export function notesWithin(notes: readonly SoundingNote[], begin: number, seconds: number): SoundingNote[] {
  const within = notes.filter(({ start }) => start >= begin && start < begin + seconds);
  const first = within[0]?.start ?? 0;
  return within.map((note) => ({ ...note, start: note.start - first }));
}

/** Steps of the logarithm of the speed that augmentation keeps to, so that notes come again and can be kept. */
const SPEED_STEP = 0.05;

/**
 * A positive pair of the audio embedder: two chunks of a tune that have no note in common, each at a random place and with
 * changes of its own of pitch (whole semitones) and tempo, which the notes take before they are sounded, and of noise
 * after. In a tune too short for both, the chunks are shorter, and end in silence.
 */
export function heardPair(
  notes: readonly SoundingNote[],
  random: Random,
  { front, bank, ranges }: { front: AudioFront; bank: NoteBank; ranges: AugmentationRanges },
): PositivePair<Float32Array> {
  const last = notes.at(-1) as SoundingNote;
  const milliseconds = Math.max(2, Math.ceil(1000 * (last.start + last.seconds)));
  const { chunkSeconds } = front.options;
  const draw = (): ReturnType<typeof drawAugmentation> => {
    const drawn = drawAugmentation(random, { ...ranges, wholeSemitones: true });
    return { ...drawn, speed: Math.exp(SPEED_STEP * Math.round(Math.log(drawn.speed) / SPEED_STEP)) };
  };
  const augmentations = [draw(), draw()] as const;
  // What is played faster takes more of the tune for a chunk's length.
  const wanted = augmentations.map(({ speed }) => Math.ceil(1000 * chunkSeconds * speed));
  const places = separateChunks(milliseconds, wanted as [number, number], random);
  const [a, b] = places.map(({ begin, length }, i) => {
    const augmentation = augmentations[i] as (typeof augmentations)[number];
    const chunk = augmentNotes(notesWithin(notes, begin / 1000, length / 1000), augmentation);
    const waveform = bank.sound(chunk, front.chunkLength);
    if (augmentation.decibels !== null) addHiss(waveform, augmentation.decibels, augmentation.seed);
    return front.patches(waveform);
  }) as [Float32Array, Float32Array];
  return [a, b];
}
