import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Point, Report } from '../../lib/evaluation/types.ts';
import { json, run, stopped, temporaryFolder } from './command.ts';
import { DISTILL, JUDGED_BY, PLAIN, type TunesTrained, trainTunes } from './tunes-scene.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (...names: string[]): string => join(folder, ...names);

describe('evaluate on tunes', () => {
  const models = ['quality', 'diverse', 'merged-0.5', 'both'].flatMap((name) => ['--model', `${name}.safetensors`]);
  const args = ['evaluate', '--base', 'base.safetensors', ...models, ...JUDGED_BY, ...PLAIN];
  let results: TunesTrained;
  let whole: Record<string, unknown>;

  beforeAll(async () => {
    results = await trainTunes(folder);
    whole = await json(folder, ...args, '--output', 'judged');
  }, 120_000);

  it('judges by the towers, and measures independent diversity by another embedder', () => {
    const points = whole.points as Point[];
    expect(points.map(({ name, family, parameters }) => [name, family, parameters])).toEqual([
      ['base', 'base', {}],
      ['CFG γ 3', 'guidance', { scale: 3 }],
      ['quality', 'distilled', { beta: 0 }],
      ['diverse', 'distilled', { beta: 5 }],
      ['merged-0.5', 'merged', { beta: 5, lambda: 0.5 }],
      ['both', 'distilled', {}],
    ]);
    for (const { quality, diversity, independentDiversity, measures } of points) {
      expect(Math.abs(quality)).toBeLessThanOrEqual(1);
      expect(diversity).toBeGreaterThan(0);
      expect(independentDiversity).toBeGreaterThan(0);
      expect(Object.keys(measures ?? {})).toEqual(Object.keys(whole.measures as object));
    }
    expect(whole).toMatchObject({
      task: 'tunes',
      heldOutPrompts: 4,
      quality: { name: 'adherence' },
      embedders: [
        { name: 'embedder', role: 'rewarded', candidates: 4 },
        { name: 'audio', role: 'independent', candidates: 4 },
      ],
      adherence: { candidates: 3 },
      mergePaths: [{ beta: 5, lambda: [0, 0.5, 1] }],
      notes: ['both was distilled with several rewards (β 5,3): no claim is about it.'],
    });
    expect((whole.hypervolumes as { family: string }[]).map(({ family }) => family)).toContain('all');
    expect(whole.embedder).toEqual(results.embedder.retrieval);
    expect(whole.adherence).toEqual(results.adherence.retrieval);
  });

  it('writes a report', () => {
    const report = JSON.parse(readFileSync(at('judged', 'report.json'), 'utf8')) as Report;
    expect(report).toMatchObject({ schema: 1, task: 'tunes', seed: 1, points: whole.points, claims: whole.claims });
    expect(report.seconds.evaluation).toBeGreaterThan(0);
  });

  it('goes on where it was stopped, to the same figures', async () => {
    // The first point's file is written under this name; see the folder of the whole evaluation.
    const first = readdirSync(at('judged')).find((name) => name.startsWith('base-')) as string;
    const { code } = await stopped(folder, [...args, '--output', 'parts'], join('parts', first), 'SIGKILL');
    expect(code).not.toBe(0);
    expect(existsSync(at('parts', 'report.json'))).toBe(false);
    const kept = readFileSync(at('parts', first), 'utf8');
    const again = await json(folder, ...args, '--output', 'parts');
    expect(again.points).toEqual(whole.points);
    expect(readFileSync(at('parts', first), 'utf8')).toBe(kept);
  });

  it('refuses a folder of other settings', async () => {
    const { code, stderr } = await run(folder, ...args, '--output', 'judged', '--samples', '3');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^cfgdistill: output: judged holds an evaluation with other settings \(samplesPerPrompt was 2, is 3\)/m,
    );
  });

  it('counts models distilled on the teacher’s rollouts as a family of their own', async () => {
    await json(folder, ...DISTILL, '--rollouts', 'teacher', '--output', 'teacher.safetensors');
    const two = ['--model', 'quality.safetensors', '--model', 'teacher.safetensors'];
    const { points, rollouts } = await json(folder, 'evaluate', ...two, ...JUDGED_BY, ...PLAIN, '--prompts', '2');
    expect((points as Point[]).map(({ family }) => family)).toEqual(['distilled', 'off-policy']);
    expect(rollouts).toEqual([
      { source: 'student', point: 'quality' },
      { source: 'teacher', point: 'teacher' },
    ]);
  });

  it('tells all of it as text', async () => {
    const { code, stdout } = await run(folder, ...args, '--output', 'judged', '--quiet');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Quality is adherence: cosine/);
    expect(stdout).toMatch(/The rewarded embedder \(embedder\) finds .* among 4 in \d+\.0 % of the cases\./);
    expect(stdout).toMatch(/The independent embedder \(audio\) finds /);
    expect(stdout).toMatch(/The model of adherence finds a held-out item's prompt among 3 /);
    expect(stdout).toMatch(/Hypervolume: /);
    expect(stdout).toMatch(/Along the merge paths\nFrom β = 0 \(λ = 0\) to β = 5 \(λ = 1\)/);
    expect(stdout).toMatch(/copied8grams/);
    expect(stdout.trimEnd().endsWith('What was judged, and report.json: judged')).toBe(true);
  });
});
