import { AudioEmbedder } from '../../embedders/audio-embedder.ts';
import { AudioFront, type AudioFrontOptions, patchStatistics } from '../../embedders/audio-front.ts';
import { AUDIO_ENCODER_SMALL } from '../../embedders/audio-presets.ts';
import { ContrastiveTrainer } from '../../embedders/contrastive-trainer.ts';
import { ValueError } from '../../errors.ts';
import { PatchEncoder } from '../../models/patch-encoder.ts';
import type { Placement } from '../../models/transformer-lm.ts';
import { Random } from '../../random.ts';
import { musicOf, tunesOf } from './music.ts';
import { NoteBank } from './note-bank.ts';
import { contrastiveOptimizer, TUNE_RECIPE, type TuneAudioRecipe } from './recipe.ts';
import { heardNotes, heardPair, notesWithin } from './sound.ts';
import type { TuneTask } from './task.ts';

/**
 * What the audio embedder reads of a chunk of 4 seconds: 25 patches of 4 frames of 40 ms × 64 bands. Windows of 64 ms tell
 * the semitones of a melody apart; those of 25 ms, the default, are too short for it.
 */
export const TUNE_AUDIO_FRONT: AudioFrontOptions = {
  mel: { windowLength: 1024, hopLength: 640, lowHertz: 150, highHertz: 4000 },
  patches: { frames: 4, bands: 64 },
};

/** Chunks by which patches are standardised. */
const STATISTICS_CHUNKS = 48;

/**
 * A trainer of the audio embedder: tunes are sounded by the built-in synthesiser at 16 kHz, and a transformer over patches
 * of their spectrograms is trained by contrast between two chunks of one tune, as `heardPair` makes them.
 *
 * @throws ValueError for fewer than two training tunes that sound, or a recipe that does not fit
 */
export function tuneAudioTrainer(
  task: TuneTask,
  recipe: TuneAudioRecipe = TUNE_RECIPE.audio,
  placement: Placement = {},
): ContrastiveTrainer<PatchEncoder> {
  const { dimensions, dropout, batchSize, temperature, augmentation } = recipe;
  const front = new AudioFront(TUNE_AUDIO_FRONT);
  const bank = new NoteBank(front.sampleRate);
  const tunes = tunesOf(task.trainingRows)
    .map(({ tokens }) => heardNotes(task, musicOf(task, tokens)))
    .filter((notes) => notes.length > 1);
  if (tunes.length < 2) throw new ValueError('task: expected two training tunes that sound, got fewer', 'task');
  const ranges = augmentation;
  const random = new Random(task.seed).fork('statistics');
  const sample = Array.from({ length: STATISTICS_CHUNKS / 2 }, () => random.integer(tunes.length));
  const statistics = patchStatistics(
    sample.flatMap((tune) => heardPair(tunes[tune] as (typeof tunes)[number], random, { front, bank, ranges })),
  );
  const encoder = new PatchEncoder(
    { ...AUDIO_ENCODER_SMALL, ...recipe.shape, ...statistics, dimensions, dropout },
    { ...placement, seed: task.seed },
  );
  return new ContrastiveTrainer({
    encoder,
    items: tunes.length,
    pair: (item, draw) => heardPair(tunes[item] as (typeof tunes)[number], draw, { front, bank, ranges }),
    batchSize: Math.min(batchSize, tunes.length),
    temperature,
    seed: task.seed,
    optimizer: contrastiveOptimizer(recipe),
  });
}

/** Chunks that are heard of a generation: 8 seconds, 53 eighth notes. */
const HEARD_CHUNKS = 2;

/** The audio embedder of generations: their begin is sounded as in training, without changes, and its chunks embedded. */
export function tuneAudioEmbedder(task: TuneTask, encoder: PatchEncoder): AudioEmbedder {
  const { sampleRate, chunkLength, options } = new AudioFront(TUNE_AUDIO_FRONT);
  const bank = new NoteBank(sampleRate);
  return new AudioEmbedder({
    ...options,
    encoder,
    chunks: HEARD_CHUNKS,
    toWaveform: (tokens) => {
      const notes = notesWithin(heardNotes(task, musicOf(task, tokens)), 0, HEARD_CHUNKS * options.chunkSeconds);
      const { start, seconds } = notes.at(-1) ?? { start: 0, seconds: 0 };
      return bank.sound(notes, Math.min(HEARD_CHUNKS * chunkLength, Math.ceil((start + seconds) * sampleRate)));
    },
  });
}
