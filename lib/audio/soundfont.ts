import { setImmediate } from 'node:timers/promises';
import { CheckpointError, DependencyError, ValueError } from '../errors.ts';
import { readBounded } from '../files.ts';
import { hostArray } from '../host-arrays.ts';
import { importOptional, resolveOptional } from '../optional-package.ts';
import { checkRange, checkSampleRate } from './checks.ts';
import type { SoundingNote } from './performance.ts';
import { checkNote, LISTENING_SAMPLE_RATE, normalisePeak } from './synthesiser.ts';

export interface SoundFontOptions {
  /** A SoundFont (SF2, SF3) or DLS file. Default: the one in the package `@coderline/alphatab`, which must be installed. */
  readonly soundFont?: string;
  /** The instrument as General MIDI counts it, 0 to 127. Default 24, a guitar. */
  readonly program?: number;
  /** In hertz. Default 44,100. */
  readonly sampleRate?: number;
  /** Whether there are reverberation and chorus. Default true. */
  readonly effects?: boolean;
  /** The largest absolute sample of the result, in (0, 1]. Default 0.9. */
  readonly peak?: number;
  readonly signal?: AbortSignal;
}

/** What this needs of the package spessasynth_core, version 4. */
interface Library {
  readonly SoundBankLoader: { fromArrayBuffer(bytes: ArrayBuffer): unknown };
  readonly SpessaSynthProcessor: new (
    sampleRate: number,
    options: { maxBufferSize: number; eventsEnabled: boolean; effectsEnabled: boolean },
  ) => Processor;
}
interface Processor {
  readonly processorInitialized: Promise<void>;
  readonly voiceCount: number;
  readonly soundBankManager: { addSoundBank(bank: unknown, id: string): void };
  programChange(channel: number, program: number): void;
  noteOn(channel: number, pitch: number, velocity: number): void;
  noteOff(channel: number, pitch: number): void;
  process(left: Float32Array, right: Float32Array, start: number, count: number): void;
}

const LIBRARY = 'spessasynth_core';
const DEFAULT_FONT = ['@coderline/alphatab', 'soundfont/sonivox.sf3'] as const;
const PURPOSE = 'sound fonts';
const MOST_FONT_BYTES = 2 ** 31;
/** Samples rendered at once. */
const BLOCK = 512;
/** How long the last notes may fade, in seconds. */
const TAIL = 4;
/** In seconds, of the end. */
const FADE = 0.02;
/** Of a note of loudness 1. */
const VELOCITY = 100;

/**
 * Sounds notes with the instruments of a sound font, by the package `spessasynth_core`, which users install themselves.
 * The event loop is let in after every second of sound.
 *
 * @param notes in any order; pitches are whole semitones
 * @returns one channel of samples in [−peak, peak] (left and right averaged), from time 0 to where the last note has faded
 * @throws ValueError naming a note or an option that is outside its domain, DependencyError for a package that is not
 *   installed (saying what to install), CheckpointError for a sound font that is missing or damaged, and what `signal` says
 */
export async function renderSoundFont(
  notes: readonly SoundingNote[],
  {
    soundFont,
    program = 24,
    sampleRate = LISTENING_SAMPLE_RATE,
    effects = true,
    peak = 0.9,
    signal,
  }: SoundFontOptions = {},
): Promise<Float32Array<ArrayBuffer>> {
  checkSampleRate('sampleRate', sampleRate);
  checkRange('peak', peak, Number.MIN_VALUE, 1);
  if (!(Number.isInteger(program) && program >= 0 && program <= 127)) {
    throw new ValueError(`program: expected an integer in [0, 127], got ${program}`, 'program');
  }
  const events = schedule(notes, sampleRate);
  const last = events.at(-1);
  if (!last) return new Float32Array(0);

  const processor = await prepare(soundFont, sampleRate, effects);
  processor.programChange(0, program);
  const length = last.at + TAIL * sampleRate;
  const left = hostArray('float32', length, `${Math.ceil(length / sampleRate)} seconds of sound`);
  const right = hostArray('float32', length, `${Math.ceil(length / sampleRate)} seconds of sound`);
  let now = 0;
  let breath = 0;
  const render = async (count: number) => {
    processor.process(left, right, now, count);
    now += count;
    if (now - breath < sampleRate) return;
    breath = now;
    await setImmediate();
    signal?.throwIfAborted();
  };
  for (const { at, pitch, velocity } of events) {
    while (now < at) await render(Math.min(BLOCK, at - now));
    if (velocity > 0) processor.noteOn(0, pitch, velocity);
    else processor.noteOff(0, pitch);
  }
  // Reverberation goes on after the last voice.
  let quiet = false;
  while (now < length && !(quiet && processor.voiceCount === 0)) {
    const begin = now;
    await render(Math.min(BLOCK, length - now));
    quiet = left.subarray(begin, now).every(isQuiet) && right.subarray(begin, now).every(isQuiet);
  }
  const samples = left.slice(0, now);
  for (let at = 0; at < now; at++) samples[at] = (samples[at]! + right[at]!) / 2;
  normalisePeak(samples, peak);
  // What sounds longer than the tail is let fade, so that it does not end in a click.
  const fade = Math.min(now, Math.ceil(FADE * sampleRate));
  for (let at = 0; at < fade; at++) samples[now - 1 - at]! *= at / fade;
  return samples;
}

const isQuiet = (sample: number) => Math.abs(sample) < 1e-4;

interface Event {
  /** In samples. */
  readonly at: number;
  readonly pitch: number;
  /** 0 where the note ends. */
  readonly velocity: number;
}

/** Begins and ends in order of time; of one time, ends first, so that a repeated note sounds again. */
function schedule(notes: readonly SoundingNote[], sampleRate: number): Event[] {
  const events = notes.flatMap((note, index) => {
    checkNote(`notes[${index}]`, note);
    const { pitch, start, seconds, loudness = 1 } = note;
    if (!Number.isInteger(pitch)) {
      throw new ValueError(`notes[${index}].pitch: expected a whole semitone, got ${pitch}`, `notes[${index}].pitch`);
    }
    const begin = Math.round(start * sampleRate);
    const end = Math.max(begin + 1, Math.round((start + seconds) * sampleRate));
    return [
      { at: begin, pitch, velocity: Math.max(1, Math.round(VELOCITY * loudness)) },
      { at: end, pitch, velocity: 0 },
    ];
  });
  return events.sort((a, b) => a.at - b.at || a.velocity - b.velocity || a.pitch - b.pitch);
}

async function prepare(soundFont: string | undefined, sampleRate: number, effectsEnabled: boolean): Promise<Processor> {
  const library = await importOptional(LIBRARY, PURPOSE);
  if (!isLibrary(library)) {
    throw new DependencyError(
      `${LIBRARY}: expected version 4, which has SpessaSynthProcessor and SoundBankLoader`,
      LIBRARY,
    );
  }
  const path = soundFont ?? resolveOptional(...DEFAULT_FONT, PURPOSE);
  const bytes = await readBounded(path, MOST_FONT_BYTES, 'a sound font');
  const processor = new library.SpessaSynthProcessor(sampleRate, {
    maxBufferSize: BLOCK,
    eventsEnabled: false,
    effectsEnabled,
  });
  await processor.processorInitialized;
  try {
    const copy = new Uint8Array(bytes).buffer;
    processor.soundBankManager.addSoundBank(library.SoundBankLoader.fromArrayBuffer(copy), 'main');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${path}: expected a sound font (SF2, SF3 or DLS): ${why}`, path, { cause });
  }
  return processor;
}

function isLibrary(library: unknown): library is Library {
  if (typeof library !== 'object' || library === null) return false;
  return (
    'SpessaSynthProcessor' in library &&
    typeof library.SpessaSynthProcessor === 'function' &&
    'SoundBankLoader' in library &&
    typeof library.SoundBankLoader === 'function' &&
    'fromArrayBuffer' in library.SoundBankLoader
  );
}
