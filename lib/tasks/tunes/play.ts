import { performTune } from '../../audio/performance.ts';
import { LISTENING_SAMPLE_RATE, synthesise } from '../../audio/synthesiser.ts';
import { wavBytes } from '../../audio/wav.ts';
import { wordsOf } from '../../models/word-tokenizer.ts';
import { writeAbc } from './abc/write.ts';
import { isCompound, parseMeter } from './meter.ts';
import { writeMidi } from './midi/write.ts';
import type { Tune } from './tune.ts';
import { unroll } from './unroll.ts';

/** What words say of the pace, in beats a minute: the first that a title or tempo has decides. */
const PACES: readonly [words: readonly string[], beats: number][] = [
  [['slow', 'slowly', 'largo', 'lento', 'adagio', 'grave'], 72],
  [['lively', 'fast', 'quick', 'presto', 'vivace', 'allegro'], 144],
];
const MODERATE = 112;

/**
 * How fast a tune is played that says it in words or not at all, in quarter notes a minute: 112 beats a minute, 72 where
 * it is slow and 144 where it is lively; a beat is a dotted quarter in 6/8, 9/8 and 12/8, otherwise a quarter.
 */
export function paceOf({ meter, tempo, title }: Pick<Tune, 'meter' | 'tempo' | 'title'>): number {
  const words = wordsOf(`${tempo ?? ''} ${title}`);
  const found = PACES.find(([own]) => own.some((word) => words.includes(word)));
  const parsed = parseMeter(meter);
  return (found?.[1] ?? MODERATE) * (parsed && isCompound(parsed) ? 3 / 2 : 1);
}

/**
 * A tune as files to read and to hear: ABC, a Standard MIDI file, and a mono WAV file of 44.1 kHz by the built-in
 * synthesiser, with repeats played.
 *
 * @throws ValueError when the tune has a key, metre, pitch or duration that is none
 */
export async function tuneFiles(tune: Tune): Promise<{ abc: string; midi: Uint8Array; wav: Uint8Array }> {
  const quartersPerMinute = paceOf(tune);
  const notes = performTune(unroll(tune), { beatsPerMinute: quartersPerMinute });
  const sampleRate = LISTENING_SAMPLE_RATE;
  return {
    abc: writeAbc(tune),
    midi: await writeMidi(tune, { quartersPerMinute }),
    wav: wavBytes(synthesise(notes, { sampleRate }), { sampleRate }),
  };
}
