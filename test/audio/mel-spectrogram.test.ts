import { describe, expect, it } from 'vitest';
import { FourierTransform } from '../../lib/audio/fft.ts';
import { hertzToMel, melFilters, melToHertz } from '../../lib/audio/mel-filters.ts';
import { hann, MelAnalyser, melSpectrogram } from '../../lib/audio/mel-spectrogram.ts';
import { patches } from '../../lib/audio/patches.ts';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.ts';
import { Random } from '../../lib/random.ts';
import { directPower, sine } from './reference.ts';

function noise(length: number, seed = 1): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.uniform() - 0.5);
}

describe('FourierTransform', () => {
  it.each([2, 4, 8, 64, 512])('of %i is the direct sum, and its inverse gives the numbers back', (size) => {
    const transform = new FourierTransform(size);
    const input = Float64Array.from(noise(2 * size));
    const out = new Float64Array(2 * size);
    transform.forward(input, out);
    for (let k = 0; k < size; k++) {
      let [real, imaginary] = [0, 0];
      for (let n = 0; n < size; n++) {
        const angle = (-2 * Math.PI * ((k * n) % size)) / size;
        real += input[2 * n]! * Math.cos(angle) - input[2 * n + 1]! * Math.sin(angle);
        imaginary += input[2 * n]! * Math.sin(angle) + input[2 * n + 1]! * Math.cos(angle);
      }
      expect(Math.abs(out[2 * k]! - real)).toBeLessThan(1e-11);
      expect(Math.abs(out[2 * k + 1]! - imaginary)).toBeLessThan(1e-11);
    }
    const back = new Float64Array(2 * size);
    transform.inverse(out, back);
    for (const [at, value] of back.entries()) expect(Math.abs(value - input[at]!)).toBeLessThan(1e-13);

    const samples = input.subarray(0, size);
    transform.real(samples, out);
    const exact = directPower(samples, size);
    for (const [k, power] of exact.entries()) {
      expect(Math.abs(out[2 * k]! ** 2 + out[2 * k + 1]! ** 2 - power)).toBeLessThan(1e-9);
    }
  });

  it.each([0, 1, 3, 48, 2 ** 21, Number.NaN])('refuses a size of %d', (size) => {
    expect(() => new FourierTransform(size)).toThrow(ValueError);
  });
});

describe('mels', () => {
  it('are those of the formulas, and go back', () => {
    // 1000 Hz is about 1000 mels in HTK's formula, 15 in Slaney's; 6400 Hz is 27 more.
    expect(hertzToMel(1000, 'htk')).toBeCloseTo(999.9855, 3);
    expect(hertzToMel(700, 'htk')).toBeCloseTo(2595 * Math.log10(2), 10);
    expect(hertzToMel(500, 'slaney')).toBeCloseTo(7.5, 12);
    expect(hertzToMel(1000, 'slaney')).toBeCloseTo(15, 12);
    expect(hertzToMel(6400, 'slaney')).toBeCloseTo(42, 10);
    for (const scale of ['htk', 'slaney'] as const) {
      for (const hertz of [0, 20, 999.9, 1000, 7999]) {
        expect(melToHertz(hertzToMel(hertz, scale), scale)).toBeCloseTo(hertz, 8);
      }
    }
  });

  const options = { bands: 40, lowHertz: 20, highHertz: 8000, fftSize: 512, sampleRate: 16_000 };

  it('have triangles of height 1 that meet, or of area 1', () => {
    const total = new Float64Array(257);
    for (const { begin, weights } of melFilters({ ...options, scale: 'htk' })) {
      for (const [index, weight] of weights.entries()) {
        expect(weight).toBeGreaterThan(0);
        expect(weight).toBeLessThanOrEqual(1);
        total[begin + index]! += weight;
      }
    }
    // Between the middles of the first and the last band every bin is shared out whole.
    const step = (hertzToMel(8000, 'htk') - hertzToMel(20, 'htk')) / 41;
    const first = melToHertz(hertzToMel(20, 'htk') + step, 'htk') / 31.25;
    const last = melToHertz(hertzToMel(8000, 'htk') - step, 'htk') / 31.25;
    for (let bin = Math.ceil(first); bin <= last; bin++) expect(total[bin]).toBeCloseTo(1, 12);
    expect(total[0]).toBe(0);
    expect(total[256]).toBeLessThan(1e-12);

    // With many bins to a band the sum of the weights is the area.
    for (const { weights } of melFilters({ ...options, fftSize: 2 ** 16, scale: 'slaney' })) {
      expect(weights.reduce((sum, weight) => sum + weight, 0) * (16_000 / 2 ** 16)).toBeCloseTo(1, 3);
    }
  });

  it('refuse bands with no bin in them', () => {
    expect(() => melFilters({ ...options, bands: 256, scale: 'htk' })).toThrow(
      /bands: expected bands with a bin .*band \d/,
    );
  });
});

describe('melSpectrogram', () => {
  it.each([
    ['the defaults', {}],
    ['80 bands of Slaney', { bands: 80, scale: 'slaney', lowHertz: 0, fftSize: 1024 }],
    ['whole windows only', { padding: 'none', windowLength: 300, hopLength: 77, highHertz: 7000 }],
  ] as const)('with %s is what its formula says', (_, options) => {
    const waveform = noise(1600);
    const analyser = new MelAnalyser(options);
    const { sampleRate, windowLength, hopLength, fftSize, bands, lowHertz, highHertz, scale, floor, padding } =
      analyser.options;
    const { data, frames } = analyser.analyse(waveform);
    expect(frames).toBe(padding === 'same' ? 10 : 1 + Math.floor((1600 - windowLength) / hopLength));
    expect(data.length).toBe(frames * bands);

    const corners = Array.from({ length: bands + 2 }, (_, index) => {
      const [low, high] = [hertzToMel(lowHertz, scale), hertzToMel(highHertz, scale)];
      return melToHertz(low + (index * (high - low)) / (bands + 1), scale);
    });
    for (let t = 0; t < frames; t++) {
      const begin = t * hopLength - (padding === 'same' ? Math.floor((windowLength - hopLength) / 2) : 0);
      const frame = Array.from({ length: windowLength }, (_, n) => {
        const at = begin + n;
        const window = Math.sin((Math.PI * n) / windowLength) ** 2;
        return at >= 0 && at < waveform.length ? window * waveform[at]! : 0;
      });
      const power = directPower(frame, fftSize);
      for (let band = 0; band < bands; band++) {
        const [left, middle, right] = corners.slice(band, band + 3) as [number, number, number];
        let sum = 0;
        for (const [k, value] of power.entries()) {
          const hertz = (k * sampleRate) / fftSize;
          const triangle = Math.max(0, Math.min((hertz - left) / (middle - left), (right - hertz) / (right - middle)));
          sum += (scale === 'slaney' ? 2 / (right - left) : 1) * triangle * value;
        }
        expect(Math.abs(data[t * bands + band]! - Math.log(Math.max(floor, sum)))).toBeLessThan(1e-5);
      }
    }
  });

  it("has the field's sizes: 4 seconds are 400 frames of 64 bands of 25 ms every 10 ms", () => {
    const { options } = new MelAnalyser();
    expect(options).toMatchObject({ windowLength: 400, hopLength: 160, fftSize: 512, bands: 64 });
    expect(melSpectrogram(new Float32Array(64_000))).toMatchObject({ frames: 400, bands: 64 });
    expect(new MelAnalyser({ padding: 'none' }).frames(64_000)).toBe(398);
    expect(new MelAnalyser({ bands: 80 }).options.bands).toBe(80);
    expect(new MelAnalyser({ sampleRate: 44_100 }).options.fftSize).toBe(2048);
  });

  it('shows a sine in its band, at the power that is documented, and silence at the floor', () => {
    const { data, bands } = melSpectrogram(sine(2000, 16_000, 16_000, 0.5));
    const frame = data.subarray(50 * bands, 51 * bands);
    const filters = melFilters({ ...new MelAnalyser().options });
    const best = frame.indexOf(Math.max(...frame));
    const { begin, weights } = filters[best]!;
    expect(2000 / 31.25).toBeGreaterThanOrEqual(begin);
    expect(2000 / 31.25).toBeLessThan(begin + weights.length);
    expect(
      directPower(
        sine(2000, 16_000, 400, 0.5).map((x, n) => x * hann(400)[n]!),
        512,
      )[64],
    ).toBeCloseTo(2500, 3);
    expect(melSpectrogram(new Float32Array(800)).data.every((value) => value === Math.fround(Math.log(1e-5)))).toBe(
      true,
    );
  });

  it('refuses options and waveforms that do not fit, naming them', () => {
    expect(() => new MelAnalyser({ fftSize: 256 })).toThrow("fftSize: expected at least the window's 400, got 256");
    expect(() => new MelAnalyser({ fftSize: 500 })).toThrow('power of two');
    expect(() => new MelAnalyser({ highHertz: 8001 })).toThrow('highHertz');
    expect(() => new MelAnalyser({ lowHertz: 5000, highHertz: 4000 })).toThrow('lowHertz');
    expect(() => new MelAnalyser({ floor: 0 })).toThrow('floor');
    expect(() => new MelAnalyser({ hopLength: 0 })).toThrow('hopLength');
    expect(() => new MelAnalyser({ bands: 1.5 })).toThrow('bands');
    // @ts-expect-error a scale that is none
    expect(() => new MelAnalyser({ scale: 'bark' })).toThrow('scale');
    expect(() => melSpectrogram(new Float32Array(0))).toThrow(ShapeError);
    expect(() => melSpectrogram(new Float32Array(399), { padding: 'none' })).toThrow(
      'expected at least 400 samples, got 399',
    );
    expect(() => melSpectrogram(Float32Array.of(Number.NaN))).toThrow('waveform[0]');
    // @ts-expect-error another type
    expect(() => melSpectrogram(new Float64Array(400))).toThrow(DTypeError);
  });
});

describe('patches', () => {
  const data = Float32Array.from({ length: 7 * 4 }, (_, index) => 10 * Math.floor(index / 4) + (index % 4));
  const spectrogram = { data, frames: 7, bands: 4 };

  it('are rectangles in order of time and then of frequency', () => {
    const cut = patches(spectrogram, { frames: 3, bands: 2 });
    expect(cut).toMatchObject({ count: 4, size: 6, grid: [2, 2] });
    expect([...cut.data.subarray(0, 6)]).toEqual([0, 1, 10, 11, 20, 21]);
    expect([...cut.data.subarray(6, 12)]).toEqual([2, 3, 12, 13, 22, 23]);
    expect([...cut.data.subarray(12, 18)]).toEqual([30, 31, 40, 41, 50, 51]);
  });

  it('may overlap', () => {
    const cut = patches(spectrogram, { frames: 2, bands: 2, frameStride: 1, bandStride: 1 });
    expect(cut.grid).toEqual([6, 3]);
    expect([...cut.data.subarray(4 * 4, 5 * 4)]).toEqual([11, 12, 21, 22]);
  });

  it('of 4 seconds are 100', () => {
    expect(patches(melSpectrogram(new Float32Array(64_000)))).toMatchObject({ count: 100, size: 256, grid: [25, 4] });
  });

  it('refuse what they do not fill', () => {
    expect(() => patches(spectrogram, { frames: 8, bands: 2 })).toThrow('expected at least 8 frames, got 7');
    expect(() => patches(spectrogram, { frames: 2, bands: 3 })).toThrow(
      'expected 3 bands and a multiple of 3 more, got 4',
    );
    expect(() => patches({ data, frames: 7, bands: 5 })).toThrow('expected [frames, bands] = [7, 5], got 28 elements');
    expect(() => patches(spectrogram, { frames: 0 })).toThrow(ValueError);
  });
});
