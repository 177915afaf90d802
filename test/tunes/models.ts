import { Random } from '../../lib/random.ts';
import { TuneTask } from '../../lib/tasks/tunes/task.ts';
import type { Mode, Tune } from '../../lib/tasks/tunes/tune.ts';
import { tuneOf } from './scene.ts';

const SCALE = [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79];

/**
 * Tunes made here: each goes through a motif of its own, four notes of one bar, in an order that changes. Jigs have bars of
 * 6/8 of eighths and quarters, reels of 4/4 of eighths.
 */
function madeTune(id: string, random: Random, split: 'train' | 'validation'): Tune {
  const jig = random.integer(2) === 0;
  const lengths = jig ? [24, 12, 24, 12] : [24, 24, 24, 24];
  const mode: Mode = 'major';
  const motif = lengths.map((ticks) => `${SCALE[random.integer(SCALE.length)]}:${ticks}`);
  const bars = Array.from({ length: 8 }, () => {
    const by = random.integer(2) * 2;
    return [...motif.slice(by), ...motif.slice(0, by)].join(' ');
  });
  const key = ['C', 'D', 'G'][random.integer(3)]!;
  const type = jig ? 'jig' : 'reel';
  const tune = tuneOf(`${bars.join(' | ')} |`, { id, type, meter: jig ? '6/8' : '4/4', mode, split });
  return { ...tune, key };
}

/** 48 tunes for training and 12 held out. */
export function madeTask(): TuneTask {
  const random = new Random(11);
  const tunes = Array.from({ length: 60 }, (_, i) => madeTune(`made-${i}`, random, i < 48 ? 'train' : 'validation'));
  return new TuneTask({ tunes, seed: 1, keysPerTune: 2, maxTokens: 64 });
}
