import { describe, expect, it } from 'vitest';
import { readAtSpeed, resample } from '../../lib/audio/resample.ts';
import { DTypeError, ValueError } from '../../lib/errors.ts';
import { amplitudeAt, rootMeanSquare, sine } from './reference.ts';

const decibels = (ratio: number) => 20 * Math.log10(ratio);

describe('resample', () => {
  it.each([
    [44_100, 16_000],
    [48_000, 16_000],
    [22_050, 16_000],
    [8000, 16_000],
    [44_101, 16_000],
    [16_000, 44_100],
  ])('from %i to %i Hz gives the samples of the same sine', (from, to) => {
    const length = Math.round(from / 4);
    const nyquist = Math.min(from, to) / 2;
    for (const hertz of [100.7, 0.4 * nyquist, 0.83 * nyquist]) {
      const out = resample(sine(hertz, from, length), { from, to });
      expect(out.length).toBe(Math.ceil((length * to) / from));
      const exact = sine(hertz, to, out.length);
      // Away from the ends, where the sine begins and stops.
      const margin = Math.ceil((40 * to) / Math.min(from, to));
      let worst = 0;
      for (let n = margin; n < out.length - margin; n++) worst = Math.max(worst, Math.abs(out[n]! - exact[n]!));
      expect(decibels(worst / 0.5)).toBeLessThan(-70);
    }
  });

  it('removes what the lower rate cannot hold', () => {
    // At 16,000 Hz a sine of f in (8,000, 16,000) would be heard at 16,000 − f.
    for (const hertz of [8100, 9000, 12_345, 15_000, 20_000]) {
      const out = resample(sine(hertz, 44_100, 22_050), { from: 44_100, to: 16_000 }).subarray(500, -500);
      expect(decibels(rootMeanSquare(out) / (0.5 / Math.SQRT2))).toBeLessThan(-70);
    }
  });

  it('makes no images above half the lower rate', () => {
    const out = resample(sine(3000, 8000, 4000), { from: 8000, to: 16_000 }).subarray(200, -200);
    expect(amplitudeAt(out, 3000, 16_000)).toBeCloseTo(0.5, 3);
    expect(decibels(amplitudeAt(out, 5000, 16_000) / 0.5)).toBeLessThan(-70);
  });

  it('keeps a constant, copies at the same rate, and takes views and nothing', () => {
    const ones = new Float32Array(4410).fill(1);
    for (const sample of resample(ones, { from: 44_100, to: 16_000 }).subarray(100, -100)) {
      expect(Math.abs(sample - 1)).toBeLessThan(2e-4);
    }
    const copy = resample(ones.subarray(2, 5), { from: 8000, to: 8000 });
    expect(copy).toEqual(Float32Array.of(1, 1, 1));
    expect(copy.buffer).not.toBe(ones.buffer);
    expect(resample(new Float32Array(0), { from: 8000, to: 16_000 }).length).toBe(0);
  });

  it('refuses rates and samples that are none', () => {
    expect(() => resample(new Float32Array(4), { from: 0, to: 16_000 })).toThrow('from: expected an integer of');
    expect(() => resample(new Float32Array(4), { from: 8000, to: Number.NaN })).toThrow(ValueError);
    expect(() => resample(Float32Array.of(0, Number.POSITIVE_INFINITY), { from: 8000, to: 16_000 })).toThrow(
      'waveform[1]',
    );
    // @ts-expect-error another type
    expect(() => resample([1, 2], { from: 8000, to: 16_000 })).toThrow(DTypeError);
  });
});

it('reads at any speed: a sine of f becomes one of speed · f', () => {
  const out = readAtSpeed(sine(500, 16_000, 16_000), Math.SQRT2, 11_000);
  const exact = sine(500 * Math.SQRT2, 16_000, 11_000);
  for (let n = 100; n < 10_900; n++) expect(Math.abs(out[n]! - exact[n]!)).toBeLessThan(1e-4);
});
