import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { renderSoundFont } from '../../lib/audio/soundfont.ts';
import { CheckpointError, DependencyError, ValueError } from '../../lib/errors.ts';
import { importOptional, resolveOptional } from '../../lib/optional-package.ts';
import { peakHertz, rootMeanSquare } from './reference.ts';

function isInstalled(...names: string[]): boolean {
  const { resolve } = createRequire(import.meta.url);
  return names.every((name) => {
    try {
      return resolve(name) !== '';
    } catch {
      return false;
    }
  });
}
const hasLibrary = isInstalled('spessasynth_core');
const hasBoth = hasLibrary && isInstalled('@coderline/alphatab/soundfont/sonivox.sf3');

describe('optional packages', () => {
  it('that are missing are named with what to do', async () => {
    const loading = importOptional('cfgdistill-has-no-such-package', 'sound fonts');
    await expect(loading).rejects.toThrow(DependencyError);
    await expect(loading).rejects.toThrow(
      'cfgdistill-has-no-such-package: is needed for sound fonts and is not installed: npm install cfgdistill-has-no',
    );
    expect(() => resolveOptional('cfgdistill-has-no-such-package', 'a/b', 'tests')).toThrow(
      'npm install cfgdistill-has',
    );
  });

  it('that are there are loaded, and their files found', async () => {
    expect(await importOptional('fft.js', 'tests')).toHaveProperty('default');
    expect(resolveOptional('fft.js', 'package.json', 'tests')).toMatch(/package\.json$/);
    expect(() => resolveOptional('fft.js', 'no-such-file', 'tests')).toThrow(
      'fft.js/no-such-file: is needed for tests and cannot be loaded: ',
    );
  });
});

it('refuses notes and options before anything is loaded', async () => {
  const note = { pitch: 60, start: 0, seconds: 1 };
  await expect(renderSoundFont([{ ...note, pitch: 60.5 }])).rejects.toThrow(
    'notes[0].pitch: expected a whole semitone',
  );
  await expect(renderSoundFont([{ ...note, seconds: -1 }])).rejects.toThrow(ValueError);
  await expect(renderSoundFont([note], { program: 128 })).rejects.toThrow('program: expected an integer in [0, 127]');
  await expect(renderSoundFont([note], { peak: 0 })).rejects.toThrow('peak');
  expect(await renderSoundFont([])).toEqual(new Float32Array(0));
});

// Optional packages, which users install themselves: what can be tested depends on what is there.
if (hasLibrary) console.warn('skipped: what is said where spessasynth_core is missing: it is installed');
else console.warn('skipped: sound fonts: spessasynth_core is not installed');
if (!hasBoth) console.warn('skipped: notes by the sound font of @coderline/alphatab: not both packages are installed');
it.skipIf(hasLibrary)('says what to install where the library is missing', async () => {
  const rendering = renderSoundFont([{ pitch: 60, start: 0, seconds: 1 }]);
  await expect(rendering).rejects.toThrow(
    'spessasynth_core: is needed for sound fonts and is not installed: npm install',
  );
});

describe.skipIf(!hasLibrary)('with spessasynth_core installed (skipped where it is not)', () => {
  it('refuses what is no sound font, naming the file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cfgdistill-soundfont-'));
    try {
      const path = join(folder, 'a.sf2');
      await writeFile(path, 'this is no sound font');
      const note = { pitch: 60, start: 0, seconds: 1 };
      await expect(renderSoundFont([note], { soundFont: path })).rejects.toThrow(CheckpointError);
      await expect(renderSoundFont([note], { soundFont: path })).rejects.toThrow(`${path}: expected a sound font`);
      await expect(renderSoundFont([note], { soundFont: join(folder, 'b.sf2') })).rejects.toThrow('no such file');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe.skipIf(!hasBoth)('with @coderline/alphatab installed as well (skipped where it is not)', () => {
  it('sounds notes at their pitch and time', async () => {
    const sampleRate = 16_000;
    const notes = [
      { pitch: 69, start: 0.5, seconds: 1 },
      { pitch: 76, start: 2, seconds: 0.5 },
    ];
    // A flute: its first partial is the loudest.
    const samples = await renderSoundFont(notes, { sampleRate, program: 73, effects: false });
    expect(samples.length).toBeGreaterThan(2.5 * sampleRate);
    expect(samples.length).toBeLessThanOrEqual(6.5 * sampleRate);
    expect(samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)).toBeCloseTo(0.9, 5);
    expect(rootMeanSquare(samples.subarray(0, 0.49 * sampleRate))).toBeLessThan(1e-3);
    const part = (begin: number) => samples.subarray(begin * sampleRate, begin * sampleRate + 4096);
    expect(Math.abs(peakHertz(part(0.8), sampleRate, 100, 2000) - 440)).toBeLessThan(5);
    expect(Math.abs(peakHertz(part(2.15), sampleRate, 100, 2000) - 659.3)).toBeLessThan(8);
    expect(await renderSoundFont(notes, { sampleRate, program: 73, effects: false })).toEqual(samples);
  });

  it('stops when it is told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const rendering = renderSoundFont([{ pitch: 60, start: 0, seconds: 5 }], { signal });
    await expect(rendering).rejects.toThrow('enough');
  });
});
