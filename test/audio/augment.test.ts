import { describe, expect, it } from 'vitest';
import { addNoise, augmentNotes, augmentWaveform, drawAugmentation } from '../../lib/audio/augment.ts';
import { changeTempo, shiftPitch } from '../../lib/audio/phase-vocoder.ts';
import { synthesise } from '../../lib/audio/synthesiser.ts';
import { DTypeError, ValueError } from '../../lib/errors.ts';
import { Random } from '../../lib/random.ts';
import { amplitudeAt, peakHertz, rootMeanSquare, sine } from './reference.ts';

const RATE = 16_000;
const middle = (samples: Float32Array) => samples.subarray(samples.length / 2 - 2048, samples.length / 2 + 2048);

describe('changeTempo', () => {
  it.each([0.5, 0.8, 1.1, 1.3, 2])('at speed %d keeps a sine and changes its length', (speed) => {
    for (const hertz of [220, 441.3, 3000]) {
      const out = changeTempo(sine(hertz, RATE, RATE), speed);
      expect(out.length).toBe(Math.round(RATE / speed));
      expect(Math.abs(peakHertz(middle(out), RATE, 100, 4000) - hertz)).toBeLessThan(0.5);
      expect(amplitudeAt(middle(out), hertz, RATE)).toBeCloseTo(0.5, 2);
      // Nothing else is there.
      expect(rootMeanSquare(middle(out))).toBeCloseTo(0.5 / Math.SQRT2, 2);
    }
  });

  it('keeps the partials of a chord, and moves events in time', () => {
    const chord = [440, 554.4, 659.3];
    const waveform = new Float32Array(2 * RATE);
    for (const hertz of chord) sine(hertz, RATE, RATE, 0.2).forEach((x, n) => (waveform[n + RATE / 2]! += x));
    const out = changeTempo(waveform, 1.25);
    for (const hertz of chord) {
      expect(amplitudeAt(out.subarray(0.9 * RATE - 2048, 0.9 * RATE + 2048), hertz, RATE)).toBeGreaterThan(0.17);
    }
    // The chord sounds from 0.5 to 1.5 s, then from 0.4 to 1.2 s; a frame is 0.064 s.
    expect(rootMeanSquare(out.subarray(0, 0.33 * RATE))).toBeLessThan(1e-3);
    expect(rootMeanSquare(out.subarray(0.42 * RATE, 0.5 * RATE))).toBeGreaterThan(0.15);
    expect(rootMeanSquare(out.subarray(1.1 * RATE, 1.18 * RATE))).toBeGreaterThan(0.15);
    expect(rootMeanSquare(out.subarray(1.27 * RATE))).toBeLessThan(1e-3);
  });

  it('at speed 1 is a copy, and very near 1 almost one', () => {
    const waveform = synthesise([{ pitch: 64, start: 0.05, seconds: 0.4 }]);
    expect(changeTempo(waveform, 1)).toEqual(waveform);
    const near = changeTempo(waveform, 1 + 1e-9);
    expect(near.length).toBe(waveform.length);
    const difference = near.map((sample, at) => sample - waveform[at]!);
    expect(rootMeanSquare(difference)).toBeLessThan(1e-5 * rootMeanSquare(waveform));
  });

  it('takes silence, and waveforms shorter than a frame', () => {
    expect(changeTempo(new Float32Array(3000), 1.2).every((sample) => sample === 0)).toBe(true);
    for (const length of [0, 1, 100]) {
      const out = changeTempo(sine(440, RATE, length), 0.7);
      expect(out.length).toBe(Math.round(length / 0.7));
      expect(out.every(Number.isFinite)).toBe(true);
    }
  });

  it('refuses speeds, frames and samples that it cannot take', () => {
    const waveform = new Float32Array(100);
    expect(() => changeTempo(waveform, 5)).toThrow('speed: expected a number in [0.25, 4], got 5');
    expect(() => changeTempo(waveform, Number.NaN)).toThrow(ValueError);
    expect(() => changeTempo(waveform, 1.5, { frameLength: 1000 })).toThrow('power of two');
    expect(() => changeTempo(waveform, 1.5, { frameLength: 32 })).toThrow('frameLength');
    expect(() => changeTempo(Float32Array.of(Number.NaN), 1.5)).toThrow('waveform[0]');
    // @ts-expect-error another type
    expect(() => changeTempo([0], 1.5)).toThrow(DTypeError);
  });
});

describe('shiftPitch', () => {
  it.each([
    [12, 2],
    [-12, 0.5],
    [2, 2 ** (2 / 12)],
    [-0.5, 2 ** (-0.5 / 12)],
  ])('by %d semitones has the peak at %d times the frequency, and the same length', (semitones, ratio) => {
    for (const hertz of [440, 1234.5]) {
      const out = shiftPitch(sine(hertz, RATE, RATE), semitones);
      expect(out.length).toBe(RATE);
      expect(Math.abs(peakHertz(middle(out), RATE, 100, 4000) - ratio * hertz)).toBeLessThan(0.5);
      expect(amplitudeAt(middle(out), ratio * hertz, RATE)).toBeCloseTo(0.5, 2);
      expect(rootMeanSquare(middle(out))).toBeCloseTo(0.5 / Math.SQRT2, 2);
    }
  });

  it('removes what would rise above half the sample rate', () => {
    expect(rootMeanSquare(middle(shiftPitch(sine(5000, RATE, RATE), 12)))).toBeLessThan(1e-3);
  });

  it('by nothing is a copy', () => {
    const waveform = sine(440, RATE, 1000);
    expect(shiftPitch(waveform, 0)).toEqual(waveform);
    expect(() => shiftPitch(waveform, 25)).toThrow('semitones');
  });
});

describe('addNoise', () => {
  it.each([-6, 0, 20])('of %d dB has that ratio of signal to noise', (decibels) => {
    const waveform = sine(440, RATE, RATE + 1);
    const noise = addNoise(waveform, { decibels, seed: 3 }).map((sample, at) => sample - waveform[at]!);
    expect(20 * Math.log10(rootMeanSquare(waveform) / rootMeanSquare(noise))).toBeCloseTo(decibels, 4);
    // White and Gaussian: no mean, no correlation between neighbours, a kurtosis of 3.
    const deviation = rootMeanSquare(noise);
    const mean = (of: (x: number, at: number) => number) =>
      noise.reduce((sum, x, at) => sum + of(x / deviation, at), 0) / noise.length;
    expect(Math.abs(mean((x) => x))).toBeLessThan(0.03);
    expect(Math.abs(mean((x, at) => (x * (noise[at + 1] ?? 0)) / deviation))).toBeLessThan(0.03);
    expect(Math.abs(mean((x) => x ** 4) - 3)).toBeLessThan(0.2);
  });

  it('follows from its seed, and leaves silence and the original alone', () => {
    const waveform = sine(440, RATE, 100);
    const before = waveform.slice();
    const noisy = addNoise(waveform, { decibels: 10, seed: 1 });
    expect(addNoise(waveform, { decibels: 10, seed: 1 })).toEqual(noisy);
    expect(addNoise(waveform, { decibels: 10, seed: 2 })).not.toEqual(noisy);
    expect(waveform).toEqual(before);
    expect(addNoise(new Float32Array(5), { decibels: 10, seed: 1 })).toEqual(new Float32Array(5));
    expect(() => addNoise(waveform, { decibels: Number.NaN, seed: 1 })).toThrow('decibels');
  });
});

describe('augmentations', () => {
  it('are drawn within their ranges, the same from the same seed', () => {
    const draw = (seed: number) => drawAugmentation(new Random(seed));
    expect(draw(5)).toEqual(draw(5));
    const many = Array.from({ length: 500 }, (_, seed) => draw(seed));
    for (const [key, low, high] of [
      ['semitones', -2, 2],
      ['speed', 0.9, 1.1],
      ['decibels', 10, 40],
    ] as const) {
      const values = many.map((one) => one[key] as number);
      expect(Math.min(...values)).toBeGreaterThanOrEqual(low);
      expect(Math.max(...values)).toBeLessThanOrEqual(high);
      expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(0.97 * (high - low));
    }
  });

  it('can be whole semitones, of which every one is as likely, and without noise', () => {
    const random = new Random(1);
    const counts = new Map<number, number>();
    for (let round = 0; round < 2500; round++) {
      const drawn = drawAugmentation(random, { semitones: [-2.5, 2], wholeSemitones: true, decibels: null });
      expect(drawn.decibels).toBeNull();
      counts.set(drawn.semitones, (counts.get(drawn.semitones) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(100);
  });

  it('change notes exactly, and the waveform as its notes', () => {
    const notes = [{ pitch: 57, start: 0.25, seconds: 0.75 }];
    const augmentation = { semitones: 7, speed: 1.25, decibels: null, seed: 0 };
    expect(augmentNotes(notes, augmentation)).toEqual([{ pitch: 64, start: 0.2, seconds: 0.6 }]);
    const exact = synthesise(augmentNotes(notes, augmentation), { tone: 'reed' });
    const changed = augmentWaveform(synthesise(notes, { tone: 'reed' }), augmentation);
    const part = (samples: Float32Array) => samples.subarray(0.3 * RATE, 0.3 * RATE + 4096);
    expect(peakHertz(part(changed), RATE, 100, 1000)).toBeCloseTo(peakHertz(part(exact), RATE, 100, 1000), 0);
    expect(rootMeanSquare(changed.subarray(0, 0.15 * RATE))).toBeLessThan(0.02);
    expect(rootMeanSquare(part(changed))).toBeGreaterThan(0.5 * rootMeanSquare(part(exact)));
    const noisy = augmentWaveform(synthesise(notes, { tone: 'reed' }), { ...augmentation, decibels: 20 });
    expect(noisy).toEqual(addNoise(changed, { decibels: 20, seed: 0 }));
  });

  it('refuse ranges and notes outside what can be done', () => {
    const random = new Random(1);
    expect(() => drawAugmentation(random, { speed: [1.1, 0.9] })).toThrow('speed[1]');
    expect(() => drawAugmentation(random, { semitones: [-30, 0] })).toThrow('semitones[0]');
    expect(() => drawAugmentation(random, { semitones: [0.2, 0.8], wholeSemitones: true })).toThrow('a whole semitone');
    expect(() => augmentNotes([{ pitch: 120, start: 0, seconds: 1 }], { semitones: 12, speed: 1 })).toThrow(
      'notes[0].pitch',
    );
  });
});
