import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSafetensors } from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { json, run, TINY_BASE, TINY_EMBEDDER, temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

const FEW = ['--steps', '3', '--prompts-per-step', '4', '--samples-per-prompt', '2'];

/** The tensors of two files are equal bit for bit. */
async function sameTensors(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([loadSafetensors(at(a)), loadSafetensors(at(b))]);
  return [...first.tensors].every(([name, { data }]) => {
    return Buffer.compare(Buffer.from(data), Buffer.from(second.tensors.get(name)?.data ?? [])) === 0;
  });
}

describe('the commands, one after the other', () => {
  let results: Record<string, Record<string, unknown>>;

  beforeAll(async () => {
    const base = await json(folder, 'train-base', '--steps', '4', ...TINY_BASE, '--seed', '7');
    const embedder = await json(folder, 'train-embedder', '--steps', '4', ...TINY_EMBEDDER, '--seed', '7');
    const from = ['distill', '--base', 'base.safetensors', ...FEW];
    const reward = ['--embedder', 'embedder.safetensors', '--beta', '2', '--output', 'diverse.safetensors'];
    const quality = await json(folder, ...from, '--output', 'quality.safetensors');
    const diverse = await json(folder, ...from, ...reward);
    const ends = ['--quality', 'quality.safetensors', '--diverse', 'diverse.safetensors'];
    const merge = await json(folder, 'merge', ...ends, '--weights', '0,0.5,1');
    const average = await json(folder, 'merge', '--average', 'quality.safetensors', 'diverse.safetensors');
    results = { base, embedder, quality, diverse, merge, average };
  }, 120_000);

  it('trains a base model and says with what', async () => {
    expect(results.base).toMatchObject({
      command: 'train-base',
      output: 'base.safetensors',
      step: 4,
      settings: { task: 'chords', seed: 7, steps: 4, depth: 1, width: 16, heads: 2, batchSize: 16, learningRate: 2e-3 },
      metrics: { step: 4, loss: expect.any(Number), gradientNorm: expect.any(Number) },
    });
    const { metadata } = await loadSafetensors(at('base.safetensors'));
    expect(metadata).toMatchObject({ kind: 'TransformerLM', task: 'chords', split_seed: '7' });
  });

  it('trains an embedder and measures its retrieval', () => {
    const { retrieval } = results.embedder as { retrieval: { retrievalAt1: number; candidates: number } };
    expect(results.embedder).toMatchObject({
      command: 'train-embedder',
      step: 4,
      settings: { seed: 7, dimensions: 8 },
    });
    expect(retrieval.candidates).toBeGreaterThan(100);
    expect(retrieval.retrievalAt1).toBeGreaterThanOrEqual(0);
    expect(retrieval.retrievalAt1).toBeLessThanOrEqual(1);
  });

  it('distills with and without a reward, and keeps where a model comes from', async () => {
    expect(results.quality).toMatchObject({
      settings: { beta: 0, splitSeed: 7, seed: 7 },
      metrics: { diversity: null },
    });
    expect(results.diverse).toMatchObject({ settings: { beta: 2 }, metrics: { diversity: expect.any(Number) } });
    expect(await sameTensors('base.safetensors', 'quality.safetensors')).toBe(false);
    expect(await sameTensors('quality.safetensors', 'diverse.safetensors')).toBe(false);
    const { metadata } = await loadSafetensors(at('diverse.safetensors'));
    expect(metadata).toMatchObject({
      beta: '2',
      scale: '2',
      split_seed: '7',
      base: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('leaves no unfinished run behind', () => {
    for (const name of ['base', 'embedder', 'quality', 'diverse']) {
      expect(existsSync(at(`${name}.safetensors.training`))).toBe(false);
    }
  });

  it('merges: the ends are the inputs, the middle is not', async () => {
    expect(results.merge?.files).toEqual(
      [0, 0.5, 1].map((weight) => ({ weight, path: `merged-${weight}.safetensors` })),
    );
    expect(await sameTensors('merged-0.safetensors', 'quality.safetensors')).toBe(true);
    expect(await sameTensors('merged-1.safetensors', 'diverse.safetensors')).toBe(true);
    expect(await sameTensors('merged-0.5.safetensors', 'quality.safetensors')).toBe(false);
    expect(results.average?.files).toEqual([{ path: 'averaged.safetensors' }]);
    const { metadata } = await loadSafetensors(at('merged-0.5.safetensors'));
    expect(metadata.beta).toBe('2');
  });

  it('samples: the same seed draws the same, another one something else', async () => {
    const args = [
      'sample',
      '--model',
      'merged-0.5.safetensors',
      '--prompt',
      'guitar Db major',
      '--prompt',
      'ukulele C m7',
    ];
    interface Drawn {
      prompts: { prompt: string; samples: { frets: number[]; logProbability: number; logProbs: number[] }[] }[];
      passesPerToken: number;
    }
    const draw = async (...more: string[]) => (await json(folder, ...args, ...more)) as unknown as Drawn;
    const [one, again, other, guided] = await Promise.all([
      draw('--samples', '5'),
      draw('--samples', '5'),
      draw('--samples', '5', '--seed', '2'),
      draw('--scale', '3', '--top-p', '0.9'),
    ]);
    expect(one.prompts.map(({ prompt }) => prompt)).toEqual(['guitar C# major', 'ukulele C m7']);
    expect(one.prompts.map(({ samples }) => samples.length)).toEqual([5, 5]);
    expect(again).toEqual(one);
    expect(other.prompts).not.toEqual(one.prompts);
    expect([one.passesPerToken, guided.passesPerToken]).toEqual([1, 2]);
    expect(guided.prompts[0]?.samples).toHaveLength(4);
    for (const { logProbability, logProbs } of one.prompts.flatMap(({ samples }) => samples)) {
      expect(logProbability).toBeCloseTo(
        logProbs.reduce((a, b) => a + b, 0),
        6,
      );
      expect(logProbability).toBeLessThan(0);
    }
  });

  it('samples as lines of text: frets, validity, log-probability', async () => {
    const args = ['sample', '--model', 'base.safetensors', '--prompt', 'guitar C major', '--samples', '3'];
    const { code, stdout, stderr } = await run(folder, ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [first, ...rest] = stdout.trimEnd().split('\n');
    expect(first).toBe('guitar C major');
    expect(rest).toHaveLength(3);
    for (const line of rest) expect(line).toMatch(/^ {2}[x?\d-]* +(in)?valid +log-probability -\d+\.\d\d$/);
  });

  it('evaluates: points with intervals, a front, claims', async () => {
    const args = ['evaluate', '--base', 'base.safetensors', '--embedder', 'embedder.safetensors'];
    const models = [
      'quality.safetensors',
      'rich=diverse.safetensors',
      'merged-0.5.safetensors',
      'averaged.safetensors',
    ];
    const sweep = ['--scales', '2', '--temperatures', 'none', '--top-ks', '3', '--top-ps', '0.8,0.9'];
    const few = ['--samples', '3', '--prompts', '10', '--rounds', '1'];
    const onTop = ['--trained-temperatures', 'none', '--trained-top-ks', 'none', '--trained-top-ps', '0.9'];
    const given = [...models.flatMap((model) => ['--model', model]), ...sweep, ...few, ...onTop];
    const result = await json(folder, ...args, ...given);
    const points = result.points as Record<string, unknown>[];
    expect(points.map(({ name, family, parameters }) => [name, family, parameters])).toEqual([
      ['base', 'base', {}],
      ['CFG γ 2', 'guidance', { scale: 2 }],
      ['top-k 3', 'top-k', { topK: 3 }],
      ['nucleus 0.8', 'nucleus', { topP: 0.8 }],
      ['nucleus 0.9', 'nucleus', { topP: 0.9 }],
      ['quality', 'distilled', { beta: 0 }],
      ['quality + nucleus 0.9', 'distilled', { beta: 0, topP: 0.9 }],
      ['rich', 'distilled', { beta: 2 }],
      ['rich + nucleus 0.9', 'distilled', { beta: 2, topP: 0.9 }],
      ['merged-0.5', 'merged', { beta: 2, lambda: 0.5 }],
      ['merged-0.5 + nucleus 0.9', 'merged', { beta: 2, lambda: 0.5, topP: 0.9 }],
      ['averaged', 'merged', {}],
      ['averaged + nucleus 0.9', 'merged', { topP: 0.9 }],
    ]);
    for (const point of points) {
      const { quality, diversity, tokensPerSecond, interval } = point as {
        quality: number;
        diversity: number;
        tokensPerSecond: number;
        interval: Record<'quality' | 'diversity', [number, number]>;
      };
      expect(interval.quality[0]).toBeLessThanOrEqual(quality);
      expect(interval.quality[1]).toBeGreaterThanOrEqual(quality);
      expect(interval.diversity[0]).toBeLessThanOrEqual(diversity);
      expect(interval.diversity[1]).toBeGreaterThanOrEqual(diversity);
      expect(tokensPerSecond).toBeGreaterThan(0);
    }
    expect(result).toMatchObject({ splitSeed: 7, heldOutPrompts: 10, samplesPerPrompt: 3 });
    expect((result.front as string[]).length).toBeGreaterThan(0);
    expect(result.claims).toHaveLength(5);
    expect(result.failureSigns).toHaveLength(3);
    const hypervolumes = result.hypervolumes as { family: string; points: number; value: number }[];
    expect(hypervolumes.map(({ family, points: own }) => [family, own])).toEqual([
      ['base', 1],
      ['guidance', 1],
      ['top-k', 1],
      ['nucleus', 2],
      ['distilled', 4],
      ['merged', 4],
      ['all', 13],
    ]);
    expect(result.mergePaths).toMatchObject([{ beta: 2, lambda: [0, 0.5, 1], barrier: { lambda: 0.5 } }]);
    expect(result.rollouts).toEqual([]);
  }, 120_000);

  it('evaluates into a table', async () => {
    const args = ['evaluate', '--base', 'base.safetensors', '--embedder', 'embedder.safetensors', '--scales', '2'];
    const few = ['--temperatures', 'none', '--top-ks', 'none', '--top-ps', 'none', '--samples', '2', '--prompts', '5'];
    const { code, stdout, stderr } = await run(folder, ...args, ...few, '--rounds', '0', '--quiet');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/│ CFG γ 2 +│ guidance +│ \d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\] │/);
    expect(stdout).toContain('5 held-out prompts, 2 generations each, split of seed 7.');
    expect(stdout).toMatch(/Hypervolume: .*\n.*\n│ family +│ points │ +hypervolume \[95 %\] │/);
    expect(stdout).not.toContain('Along the merge paths');
  });

  it('shows bars on standard error only, and none with --quiet', async () => {
    const args = ['train-base', '--steps', '2', ...TINY_BASE];
    const [shown, quiet] = await Promise.all([
      run(folder, ...args, '--output', 'shown.safetensors'),
      run(folder, ...args, '--output', 'quiet.safetensors', '--quiet'),
    ]);
    expect(shown.stderr).toContain('Base model');
    expect(quiet.stderr).toBe('');
    expect(shown.stdout).toMatch(/^shown\.safetensors: 2 steps, loss \d+\.\d{3}\n$/);
    expect(readFileSync(at('shown.safetensors')).equals(readFileSync(at('quiet.safetensors')))).toBe(true);
  });

  it.each([
    [['--divergence', 'forward', '--rollouts', 'teacher']],
    [['--divergence', 'jsd', '--jsd-weight', '0.3', '--rollouts', 'data']],
    [['--score-function', '--temperature', '0.9', '--scale', '1.5', '--seed', '3']],
  ])('distills with %j', async (extra) => {
    const output = `${extra.join('')}.safetensors`;
    const result = await json(folder, 'distill', '--base', 'base.safetensors', ...FEW, ...extra, '--output', output);
    const { kl } = result.metrics as { kl: number };
    expect(Number.isFinite(kl)).toBe(true);
  });

  it('evaluates what was distilled on the teacher’s rollouts beside its on-policy twin, as a family of its own', async () => {
    const twin = ['--rollouts', 'teacher', '--output', 'off.safetensors'];
    await json(folder, 'distill', '--base', 'base.safetensors', ...FEW, ...twin);
    const models = ['--model', 'quality.safetensors', '--model', 'off.safetensors'];
    const plain = ['temperatures', 'top-ks', 'top-ps'].flatMap((name) => [`--trained-${name}`, 'none']);
    const few = ['--samples', '2', '--prompts', '5', '--rounds', '0', ...plain];
    const result = await json(folder, 'evaluate', '--embedder', 'embedder.safetensors', ...models, ...few);
    expect((result.points as { name: string; family: string }[]).map(({ name, family }) => [name, family])).toEqual([
      ['quality', 'distilled'],
      ['off', 'off-policy'],
    ]);
    expect(result.rollouts).toEqual([
      { source: 'student', point: 'quality' },
      { source: 'teacher', point: 'off' },
    ]);
    expect(result.notes).toEqual([expect.stringContaining('Rollouts by the teacher')]);
  });
});
