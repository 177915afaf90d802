import { describe, expect, it } from 'vitest';
import { performTune, type SoundingNote } from '../../lib/audio/performance.ts';
import { synthesise } from '../../lib/audio/synthesiser.ts';
import { TONES, type Tone } from '../../lib/audio/tones.ts';
import { ValueError } from '../../lib/errors.ts';
import { TICKS_PER_WHOLE, type Tune } from '../../lib/tasks/tunes/tune.ts';
import { amplitudeAt, peakHertz } from './reference.ts';

const note = (pitch: number | null, ticks: number, tied = false) => ({ kind: 'note', pitch, ticks, tied }) as const;
const bar = { kind: 'bar', line: '|' } as const;
const tune: Tune = {
  id: 'a',
  title: '',
  type: 'jig',
  meter: '6/8',
  key: 'D',
  mode: 'major',
  elements: [
    bar,
    note(62, 24),
    note(null, 12),
    note(66, 36, true),
    bar,
    note(66, 24, true),
    note(66, 12),
    note(69, 96),
  ],
};

describe('performTune', () => {
  it('plays quarters at the beat, leaves gaps for rests, and joins tied notes across bar lines', () => {
    expect(TICKS_PER_WHOLE).toBe(96);
    expect(performTune(tune, { beatsPerMinute: 60 })).toEqual([
      { pitch: 62, start: 0, seconds: 1 },
      { pitch: 66, start: 1.5, seconds: 3 },
      { pitch: 69, start: 4.5, seconds: 4 },
    ]);
  });

  it('takes another beat, another unit and a transposition', () => {
    const [first, second] = performTune(tune, { beatsPerMinute: 120, beat: 3 / 8, ticksPerWhole: 48, transpose: -12 });
    // A whole note is 8/3 beats of half a second: 4/3 s; 24 of 48 ticks are half of that.
    expect(first!.pitch).toBe(50);
    expect(first!.seconds).toBeCloseTo(2 / 3, 12);
    expect(second!.start).toBeCloseTo(1, 12);
  });

  it('ends a last note that says it goes on', () => {
    const cut = performTune({ elements: [note(60, 24), note(62, 24, true)] }, { beatsPerMinute: 60 });
    expect(cut.at(-1)).toEqual({ pitch: 62, start: 1, seconds: 1 });
  });

  it('refuses what cannot be played, naming it', () => {
    const options = { beatsPerMinute: 60 };
    expect(() => performTune({ elements: [note(60, 24, true), note(62, 24)] }, options)).toThrow(
      'elements[1].pitch: expected 60, to which the note before is tied, got 62',
    );
    expect(() => performTune({ elements: [note(60, 24, true), bar, note(null, 24)] }, options)).toThrow('elements[2]');
    expect(() => performTune({ elements: [note(60, 0)] }, options)).toThrow('elements[0].ticks');
    expect(() => performTune({ elements: [note(120, 4)] }, { ...options, transpose: 8 })).toThrow(ValueError);
    expect(() => performTune(tune, { beatsPerMinute: Number.NaN })).toThrow('beatsPerMinute');
  });
});

describe('synthesise', () => {
  const a4: SoundingNote = { pitch: 69, start: 0, seconds: 1 };

  it.each(['pluck', 'reed'] as const)('sounds a %s at the frequency of the pitch', (tone) => {
    for (const [pitch, hertz] of [
      [69, 440],
      [60, 261.626],
      [69.5, 452.893],
    ] as const) {
      const samples = synthesise([{ ...a4, pitch }], { tone });
      expect(peakHertz(samples.subarray(0, 8192), 16_000, 100, 600)).toBeCloseTo(hertz, 0);
    }
  });

  it('has the peak that was asked for, and the length of its notes and their release', () => {
    for (const sampleRate of [16_000, 44_100]) {
      const samples = synthesise([a4, { ...a4, pitch: 72, start: 0.5 }], { sampleRate, peak: 0.7 });
      expect(samples.length).toBe(Math.ceil((1.5 + TONES.pluck.release) * sampleRate));
      expect(samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)).toBeCloseTo(0.7, 6);
    }
  });

  it('sounds nothing above half the sample rate', () => {
    // A square-like tone whose third partial, 10,548 Hz, would be heard at 16,000 − 10,548 = 5,452 Hz.
    const tone: Tone = {
      attack: 0.05,
      release: 0.05,
      partials: () => [1, 2, 3, 4].map((ratio) => ({ ratio, amplitude: 1, decay: Number.POSITIVE_INFINITY })),
    };
    const hertz = 440 * 2 ** ((105 - 69) / 12);
    const samples = synthesise([{ ...a4, pitch: 105 }], { tone, peak: 1 }).subarray(0, 16_000);
    expect(amplitudeAt(samples, hertz, 16_000)).toBeGreaterThan(0.4);
    expect(amplitudeAt(samples, 2 * hertz, 16_000)).toBeGreaterThan(0.4);
    expect(amplitudeAt(samples, 16_000 - 3 * hertz, 16_000)).toBeLessThan(1e-4);
    expect(amplitudeAt(samples, 16_000 - 4 * hertz, 16_000)).toBeLessThan(1e-4);
    // With half the rate again the third is heard where it is.
    const faster = synthesise([{ ...a4, pitch: 105 }], { tone, peak: 1, sampleRate: 24_000 }).subarray(0, 24_000);
    expect(amplitudeAt(faster, 3 * hertz, 24_000)).toBeGreaterThan(0.2);
  });

  it('is the sum of partials that fall as they should', () => {
    const tone: Tone = { attack: 0, release: 0.1, partials: () => [{ ratio: 2, amplitude: 3, decay: 0.25 }] };
    const start = 0.01003;
    const samples = synthesise([{ pitch: 57, start, seconds: 0.4 }], { tone, peak: 1 });
    const exact = (t: number) => (t < 0 ? 0 : Math.exp(-t / 0.25) * Math.sin(2 * Math.PI * 440 * t));
    let most = 0;
    for (let n = 0; n < 0.4 * 16_000; n++) most = Math.max(most, Math.abs(exact(n / 16_000 - start)));
    for (let n = 0; n < 0.4 * 16_000; n++) {
      expect(Math.abs(samples[n]! - exact(n / 16_000 - start) / most)).toBeLessThan(1e-6);
    }
  });

  it.each(['pluck', 'reed'] as const)('begins, joins and ends the notes of a %s without a click', (tone) => {
    // High frequencies are the sign of a click: a note of 100 Hz has partials up to 1,200 Hz only.
    const low = { pitch: 69 + 12 * Math.log2(100 / 440), seconds: 0.2037 };
    const samples = synthesise(
      [0, 1, 2].map((index) => ({ ...low, start: 0.1 + index * 0.2037 })),
      { tone },
    );
    expect(Math.abs(samples[0]!)).toBe(0);
    expect(Math.abs(samples.at(-1)!)).toBeLessThan(1e-3);
    for (const hertz of [5000, 6131, 7900]) expect(amplitudeAt(samples, hertz, 16_000)).toBeLessThan(2e-5);
  });

  it('weighs notes by their loudness, and adds them where they overlap', () => {
    const both = synthesise([a4, { ...a4, pitch: 76, loudness: 0.5 }], { tone: 'reed' });
    const part = both.subarray(1000, 9192);
    const ratio = amplitudeAt(part, 440 * 2 ** (7 / 12), 16_000) / amplitudeAt(part, 440, 16_000);
    expect(ratio).toBeCloseTo(0.5, 2);
  });

  it('gives the same samples again, in whatever order notes are given, and none for no notes', () => {
    const notes = [a4, { ...a4, pitch: 60, start: 1.5 }];
    expect(synthesise(notes)).toEqual(synthesise(notes));
    expect(synthesise([...notes].reverse())).toEqual(synthesise(notes));
    expect(synthesise([]).length).toBe(0);
  });

  it('refuses notes and options outside their domain, naming them', () => {
    expect(() => synthesise([a4, { ...a4, pitch: 128 }])).toThrow(
      'notes[1].pitch: expected a number in [0, 127], got 128',
    );
    expect(() => synthesise([{ ...a4, seconds: 0 }])).toThrow('notes[0].seconds');
    expect(() => synthesise([{ ...a4, start: -1 }])).toThrow('notes[0].start');
    expect(() => synthesise([{ ...a4, loudness: Number.NaN }])).toThrow('notes[0].loudness');
    expect(() => synthesise([a4], { sampleRate: 16_000.5 })).toThrow('sampleRate');
    expect(() => synthesise([a4], { peak: 1.1 })).toThrow('peak');
    // @ts-expect-error a name that is none
    expect(() => synthesise([a4], { tone: 'harp' })).toThrow('tone: expected pluck or reed, got "harp"');
  });
});
