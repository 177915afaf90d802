import { functionEmbedder, Random, ValueError } from 'cfgdistill';
import {
  QUICK_TUNE_RECIPE,
  STOP_TOKEN,
  TuneEmbedder,
  TuneTask,
  tuneAudioEmbedder,
  tuneAudioTrainer,
  tuneEmbedderTrainer,
  tuneRetrieval,
} from 'cfgdistill/tasks/tunes';
import { describe, expect, it } from 'vitest';
import { synthesise } from '../../lib/audio/index.ts';
import { AudioFront } from '../../lib/embedders/audio-front.ts';
import { TUNE_AUDIO_FRONT } from '../../lib/tasks/tunes/audio.ts';
import { addHiss } from '../../lib/tasks/tunes/hiss.ts';
import { cutOf, halvesOf, musicOf, tunesOf, twoStretches } from '../../lib/tasks/tunes/music.ts';
import { NoteBank } from '../../lib/tasks/tunes/note-bank.ts';
import { HEARD_BEATS_PER_MINUTE, heardNotes, heardPair, notesWithin } from '../../lib/tasks/tunes/sound.ts';
import { collect, errorByScale } from '../support/golden.ts';
import { madeTask } from './models.ts';
import { elementsOf, tuneOf } from './scene.ts';

const task = madeTask();
const { embedder: symbolic, audio } = QUICK_TUNE_RECIPE;
const word = task.vocabulary.words.encode('jig')[0]!;
const range = (length: number, from = 1) => Int32Array.from({ length }, (_, i) => from + i);

describe('what embedders read', () => {
  it('is the music before the stop token, without words', () => {
    expect(musicOf(task, Int32Array.of(3, word, 1, STOP_TOKEN, 2))).toEqual(Int32Array.of(3, 1));
    expect(musicOf(task, Int32Array.of(3, 1))).toEqual(Int32Array.of(3, 1));
    expect(musicOf(task, Int32Array.of(word, STOP_TOKEN, 3))).toEqual(Int32Array.of(STOP_TOKEN));
    expect(musicOf(task, new Int32Array(0))).toEqual(Int32Array.of(STOP_TOKEN));
  });

  it('has every tune once', () => {
    expect(task.trainingRows.length).toBe(96);
    expect(tunesOf(task.trainingRows).map(({ id }) => id)).toEqual(Array.from({ length: 48 }, (_, i) => `made-${i}`));
  });

  it('is halves that are the whole', () => {
    expect(halvesOf(range(5))).toEqual([Int32Array.of(1, 2, 3), Int32Array.of(4, 5)]);
    expect(halvesOf(range(2))).toEqual([Int32Array.of(1), Int32Array.of(2)]);
  });

  it('is stretches of lengths within their bounds that do not overlap, wherever they may be', () => {
    const random = new Random(1);
    const lengths = new Set<number>();
    const begins = new Set<number>();
    for (let i = 0; i < 400; i++) {
      const [a, b] = twoStretches(range(40), { shortest: 5, longest: 12 }, random);
      for (const { length } of [a, b]) expect(length >= 5 && length <= 12).toBe(true);
      expect(a.at(-1)! < b[0]! || b.at(-1)! < a[0]!).toBe(true);
      lengths.add(a.length);
      begins.add(a[0]!);
    }
    expect(lengths.size).toBe(8);
    expect(begins.size).toBeGreaterThan(30);
    const [a, b] = twoStretches(range(7), { shortest: 5, longest: 5 }, random);
    expect(a.length + b.length).toBe(7);
  });

  it('is cuts of lengths within their bounds, half of them from the begin', () => {
    const random = new Random(2);
    const cuts = Array.from({ length: 400 }, () => cutOf(range(40), { shortest: 5, longest: 12 }, random));
    expect(new Set(cuts.map(({ length }) => length)).size).toBe(8);
    const atBegin = cuts.filter(([first]) => first === 1).length;
    expect(atBegin).toBeGreaterThan(170);
    expect(atBegin).toBeLessThan(250);
    expect(new Set(cuts.map(([first]) => first)).size).toBeGreaterThan(25);
    expect(cutOf(range(4), { shortest: 5, longest: 12 }, random)).toEqual(range(4));
  });
});

describe('tuneRetrieval', () => {
  it('finds the other half of every held-out tune by an embedder that knows the tunes, none by one that does not', async () => {
    const rows = tunesOf(task.heldOutRows);
    const knowing = functionEmbedder({
      dimensions: rows.length,
      embed: (generations) =>
        generations.map((tokens) =>
          rows.map((row) => {
            const [first, second] = halvesOf(musicOf(task, row.tokens));
            return [first, second].some((half) => half.join() === tokens.join()) ? 1 : 0;
          }),
        ),
    });
    expect(await tuneRetrieval(task, knowing)).toEqual({ retrievalAt1: 1, candidates: 12 });
    const blind = functionEmbedder({ dimensions: 2, embed: (generations) => generations.map(() => [1, 1]) });
    expect(await tuneRetrieval(task, blind)).toEqual({ retrievalAt1: 0, candidates: 12 });
  });

  it('refuses a task without held-out tunes', async () => {
    const only = new TuneTask({ tunes: [tuneOf('60:12 62:12 |', { split: 'train' })], seed: 1 });
    const none = functionEmbedder({ dimensions: 1, embed: (generations) => generations.map(() => [1]) });
    await expect(tuneRetrieval(only, none)).rejects.toThrow(ValueError);
  });
});

describe('the symbolic embedder', () => {
  it('learns, and finds the other half of held-out tunes', async () => {
    const recipe = { ...symbolic, steps: 60, shortest: 8, longest: 20 };
    const trainer = tuneEmbedderTrainer(task, recipe);
    const embedder = new TuneEmbedder(task, trainer.options.encoder);
    const steps = await collect(trainer.run({ steps: 60 }));
    expect(steps.at(-1)!.loss).toBeLessThan(0.7 * steps[0]!.loss);
    const { retrievalAt1, candidates } = await tuneRetrieval(task, embedder);
    expect(candidates).toBe(12);
    expect(retrievalAt1).toBeGreaterThan(0.8);
    trainer.dispose();
  });

  it('embeds any generation: words and what follows the stop token change nothing', async () => {
    const { encoder } = tuneEmbedderTrainer(task, symbolic).options;
    const embedder = new TuneEmbedder(task, encoder);
    expect(embedder.dimensions).toBe(symbolic.dimensions);
    const music = tunesOf(task.heldOutRows)[0]!.tokens.subarray(0, 20);
    const disguised = Int32Array.of(...music.subarray(0, 9), word, ...music.subarray(9), STOP_TOKEN, 1, 2);
    const [a, b] = [await embedder.embed([music]), await embedder.embed([disguised])];
    expect(b).toEqual(a);
    const odd = await embedder.embed([new Int32Array(0), Int32Array.of(STOP_TOKEN), Int32Array.of(word)]);
    expect(odd.length).toBe(3 * embedder.dimensions);
    expect(odd.every(Number.isFinite)).toBe(true);
  });
});

describe('the sound of tunes', () => {
  const front = new AudioFront(TUNE_AUDIO_FRONT);
  const bank = new NoteBank(front.sampleRate);
  const beat = 60 / HEARD_BEATS_PER_MINUTE;

  it('has the notes in time; ties that lead nowhere are none', () => {
    const elements = elementsOf('60:24 | R:12 62:12- 62:24 | 64:24- 60:24-');
    const own = new TuneTask({ tunes: [tuneOf('', { elements, split: 'train' })], seed: 1 });
    const notes = heardNotes(own, own.vocabulary.encode(elements));
    const expected = [
      { pitch: 60, start: 0, seconds: beat },
      { pitch: 62, start: 1.5 * beat, seconds: 1.5 * beat },
      { pitch: 64, start: 3 * beat, seconds: beat },
      { pitch: 60, start: 4 * beat, seconds: beat },
    ];
    expect(notes.length).toBe(4);
    notes.forEach((note, i) => {
      expect(note.pitch).toBe(expected[i]!.pitch);
      expect(note.start).toBeCloseTo(expected[i]!.start, 12);
      expect(note.seconds).toBeCloseTo(expected[i]!.seconds, 12);
    });
    const within = notesWithin(notes, 1.2 * beat, 2.8 * beat);
    expect(within.map(({ pitch }) => pitch)).toEqual([62, 64]);
    expect(within[0]!.start).toBe(0);
    expect(within[1]!.start).toBeCloseTo(1.5 * beat, 12);
    expect(notesWithin(notes, 100, 1)).toEqual([]);
  });

  it('is that of the synthesiser, note by note', () => {
    const note = { pitch: 67, start: 0, seconds: 0.3 };
    const alone = synthesise([note]);
    expect(bank.sound([note], alone.length)).toEqual(alone);
    const two = [
      { pitch: 60, start: 0.125, seconds: 0.2 },
      { pitch: 64, start: 0.5, seconds: 0.1 },
    ];
    // At whole samples and equally loud, the synthesiser's own mixture of both is the same.
    const sounds = two.map(({ pitch, seconds }) => synthesise([{ pitch, start: 0, seconds }]));
    const expected = new Float32Array(16_000);
    expected.set(sounds[0]!, 2000);
    sounds[1]!.forEach((sample, i) => {
      expected[8000 + i]! += sample;
    });
    expect(errorByScale(bank.sound(two, 16_000), expected)).toBeLessThan(1e-6);
    expect(bank.sound(two, 16_000)).toEqual(bank.sound(two, 16_000));
    expect(bank.sound([], 5)).toEqual(new Float32Array(5));
    expect(bank.sound(two, 2100).length).toBe(2100);
  });

  it('takes noise of the loudness asked for', () => {
    const clean = bank.sound([{ pitch: 60, start: 0, seconds: 3 }], front.chunkLength);
    const energy = (x: Float32Array) => x.reduce((sum, value) => sum + value * value, 0);
    const noisy = (decibels: number, seed: number) => {
      const copy = clean.slice();
      addHiss(copy, decibels, seed);
      return copy.map((x, i) => x - clean[i]!);
    };
    for (const [decibels, seed] of [
      [20, 3],
      [3, 2 ** 32 - 1],
    ] as const) {
      const noise = noisy(decibels, seed);
      expect(10 * Math.log10(energy(clean) / energy(noise))).toBeCloseTo(decibels, 2);
      const mean = noise.reduce((a, b) => a + b, 0) / noise.length;
      expect(Math.abs(mean) * Math.sqrt(noise.length)).toBeLessThan(4 * Math.sqrt(energy(noise) / noise.length));
    }
    expect(errorByScale(noisy(10, 4), noisy(10, 5))).toBeGreaterThan(0.5);
    const silence = new Float32Array(100);
    addHiss(silence, 10, 1);
    expect(silence).toEqual(new Float32Array(100));
  });

  it('gives pairs of chunks without a note in common, the same for the same random numbers', () => {
    // Every note is another pitch, so that what sounds says where a chunk is.
    const notes = Array.from({ length: 60 }, (_, i) => ({ pitch: 30 + i, start: 0.3 * i, seconds: 0.3 }));
    const heard: (readonly { pitch: number }[])[] = [];
    const listening = {
      sound: (chunk: readonly { pitch: number }[], length: number) => {
        heard.push(chunk);
        return new Float32Array(length).fill(1);
      },
    } as unknown as NoteBank;
    const ranges = { semitones: [0, 0], speed: [0.9, 1.1], decibels: null } as const;
    for (let seed = 0; seed < 50; seed++) heardPair(notes, new Random(seed), { front, bank: listening, ranges });
    for (let i = 0; i < heard.length; i += 2) {
      const [a, b] = [heard[i]!, heard[i + 1]!].map((chunk) => chunk.map(({ pitch }) => pitch)) as [number[], number[]];
      expect(a.length).toBeGreaterThan(9);
      expect(a.filter((pitch) => b.includes(pitch))).toEqual([]);
    }
    const drawn = (seed: number) => heardPair(notes, new Random(seed), { front, bank, ranges: audio.augmentation });
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)[0]).not.toEqual(drawn(2)[0]);
    for (const side of drawn(3)) expect(side.length).toBe(front.count * front.patchSize);
  });

  it('trains an encoder of standardised patches, which embeds any generation', async () => {
    const trainer = tuneAudioTrainer(task, audio);
    const { encoder } = trainer.options;
    expect(encoder.config.mean).toBeLessThan(0);
    expect(encoder.config.deviation).toBeGreaterThan(1);
    const embedder = tuneAudioEmbedder(task, encoder);
    const music = tunesOf(task.heldOutRows)[0]!.tokens.subarray(0, 20);
    const before = await embedder.embed([music]);
    const steps = await collect(trainer.run({ steps: 2 }));
    expect(steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    const disguised = Int32Array.of(...music.subarray(0, 9), word, ...music.subarray(9), STOP_TOKEN, 1);
    const after = await embedder.embed([music, disguised, new Int32Array(0)]);
    expect(after.length).toBe(3 * audio.dimensions);
    expect(after.slice(0, audio.dimensions)).not.toEqual(before);
    const [a, b] = [after.slice(0, audio.dimensions), after.slice(audio.dimensions, 2 * audio.dimensions)];
    expect(errorByScale(b, a)).toBeLessThan(1e-5);
    expect(after.every(Number.isFinite)).toBe(true);
    const found = await tuneRetrieval(task, embedder);
    expect(found.candidates).toBe(12);
    trainer.dispose();
  });
});
