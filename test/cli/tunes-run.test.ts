import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWav } from 'cfgdistill/audio';
import { readAbc, readAbcTune, readMidi, writeMidi } from 'cfgdistill/tasks/tunes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../lib/evaluation/types.ts';
import { SANITIZED } from '../support/sanitized.ts';
import { TREE_TUNES, writeTreeTunes } from '../support/tree-tunes.ts';
import { json, run, start, temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (...names: string[]): string => join(folder, ...names);
const reportOf = (output: string) => JSON.parse(readFileSync(at(output, 'report.json'), 'utf8')) as Report;

const CHECKPOINTS = [
  'adherence',
  'audio-embedder',
  'base',
  'distilled-0',
  'distilled-0-off-policy',
  'distilled-5',
  'embedder',
  'merged-0.5',
];

/** What does not depend on how long anything took. */
function timeless({ seconds: _, ...report }: Report) {
  return { ...report, points: report.points.map((point) => ({ ...point, tokensPerSecond: 0 })) };
}

/** Runs, and interrupts when a file is there, for each of some files; then runs to the end. */
async function interruptedAt(output: string, files: readonly string[]): Promise<(number | null)[]> {
  const args = ['tunes', 'abc', '--quick', '--quiet', '--output', output];
  const codes: (number | null)[] = [];
  for (const file of files) {
    const { child, finished } = start(folder, args);
    const watch = setInterval(() => {
      if (!existsSync(at(output, file))) return;
      clearInterval(watch);
      child.kill('SIGINT');
    }, 5);
    codes.push((await finished).code);
    clearInterval(watch);
  }
  codes.push((await run(folder, ...args)).code);
  return codes;
}

let printed: Record<string, unknown>;
let codes: (number | null)[];

beforeAll(
  async () => {
    writeTreeTunes(at('abc'));
    mkdirSync(at('midi'));
    for (const text of TREE_TUNES) {
      const tune = readAbcTune(text);
      writeFileSync(at('midi', `${tune.title}.mid`), await writeMidi(tune, { quartersPerMinute: 120 }));
    }
    [printed, , codes] = await Promise.all([
      json(folder, 'tunes', 'abc', '--quick', '--output', 'whole'),
      json(folder, 'tunes', 'midi', '--quick', '--output', 'from-midi'),
      interruptedAt('parts', ['cfgdistill.json', join('stages', 'base.json'), join('stages', 'merged.json')]),
    ]);
  },
  SANITIZED ? 1_200_000 : 240_000,
);

describe('cfgdistill tunes on a folder of ABC', () => {
  it('leaves every checkpoint, the report, the page and melodies', () => {
    const names = readdirSync(at('whole'));
    expect(names).toEqual(
      expect.arrayContaining([
        ...CHECKPOINTS.map((name) => `${name}.safetensors`),
        'report.json',
        'samples.json',
        'report.html',
        'melodies',
      ]),
    );
    const files = printed.files as string[];
    expect(files.every((file) => existsSync(at(file)))).toBe(true);
  });

  it('reports all families, both diversities, adherence and copying', () => {
    const report = reportOf('whole');
    expect(printed).toMatchObject({ command: 'tunes', data: 'abc', quick: true, task: 'tunes', seed: 1 });
    const families = new Set(report.points.map(({ family }) => family));
    expect([...families].sort()).toEqual(
      ['base', 'distilled', 'guidance', 'merged', 'nucleus', 'off-policy', 'temperature', 'top-k'].sort(),
    );
    for (const point of report.points) {
      const { quality, diversity, independentDiversity, measures = {}, family, passesPerToken } = point;
      expect(Math.abs(quality)).toBeLessThanOrEqual(1);
      for (const value of [diversity, independentDiversity]) {
        expect(value).toBeGreaterThan(0);
        expect(value).toBeLessThanOrEqual(2);
      }
      expect(measures.copied8grams).toBeGreaterThanOrEqual(0);
      expect(measures.copied8grams).toBeLessThanOrEqual(1);
      expect(passesPerToken).toBe(family === 'guidance' ? 2 : 1);
    }
    expect(report.embedders?.map(({ name, role }) => `${name} ${role}`)).toEqual([
      'symbolic rewarded',
      'audio independent',
    ]);
    expect(report.adherence?.candidates).toBeGreaterThan(1);
    expect(report.hypervolumes?.length).toBeGreaterThan(0);
    expect(report.rollouts?.map(({ source }) => source).sort()).toEqual(['student', 'teacher']);
    expect(report.notes.join(' ')).toMatch(/first 48 notes/);
  });

  it('writes melodies that can be read again, as ABC, MIDI and sound', async () => {
    const [prompt] = readdirSync(at('whole', 'melodies'));
    const names = readdirSync(at('whole', 'melodies', prompt as string));
    const stems = [...new Set(names.map((name) => name.replace(/\.(abc|mid|wav)$/, '')))];
    for (const generator of ['base', 'cfg-γ-3', 'distilled-β-0', 'distilled-β-5', 'merged-β-0-and-5-λ-0.5']) {
      expect(stems).toContain(`${generator}-1`);
    }
    for (const stem of stems) {
      const path = (ending: string) => at('whole', 'melodies', prompt as string, `${stem}.${ending}`);
      const { tunes, problems } = readAbc(readFileSync(path('abc'), 'utf8'));
      expect([tunes.length, problems.length]).toEqual([1, 0]);
      const { elements } = await readMidi(readFileSync(path('mid')));
      const sounding = elements.filter((e) => e.kind === 'note' && e.pitch !== null);
      const { samples } = await readWav(path('wav'));
      expect(samples.some((x) => x !== 0)).toBe(sounding.length > 0);
    }
  });

  it('makes a page that shows every point', () => {
    const page = readFileSync(at('whole', 'report.html'), 'utf8');
    for (const { name } of reportOf('whole').points) expect(page).toContain(name);
    expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org)[^"'\s]*\.(js|css)/);
  });

  it('comes to the same when it was interrupted', () => {
    expect(codes).toEqual([130, 130, 130, 0]);
    expect(timeless(reportOf('parts'))).toEqual(timeless(reportOf('whole')));
    expect(readdirSync(at('parts', 'stages')).filter((name) => name.endsWith('.training'))).toEqual([]);
  });
});

describe('cfgdistill tunes on a folder of MIDI files', () => {
  it('works from start to end', () => {
    const report = reportOf('from-midi');
    expect(report.points).toHaveLength(reportOf('whole').points.length);
    expect(existsSync(at('from-midi', 'report.html'))).toBe(true);
  });
});

describe('cfgdistill tunes refuses', () => {
  it.each([
    ['a folder that is not there', ['nowhere'], /nowhere/],
    [
      'another seed in the same folder',
      ['abc', '--quick', '--seed', '2', '--output', 'whole'],
      /other settings.*seed 1/,
    ],
    ['other tunes in the same folder', ['midi', '--quick', '--output', 'whole'], /other settings.*data/],
    ['no tunes at all', ['--quick'], /missing required argument 'data'/],
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await run(folder, 'tunes', ...args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('too few tunes to hold some out', async () => {
    mkdirSync(at('few'));
    writeFileSync(at('few', 'two.abc'), TREE_TUNES.slice(0, 2).join('\n'));
    const { code, stderr } = await run(folder, 'tunes', 'few', '--output', 'none');
    expect(code).toBe(1);
    expect(stderr).toMatch(/data: expected at least 6 tunes in few, .*got 2/);
    expect(existsSync(at('none'))).toBe(false);
  });
});
