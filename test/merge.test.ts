import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  averageCheckpoints,
  CheckpointError,
  DTypeError,
  type Generation,
  loadSafetensors,
  type MergeOptions,
  mergeCheckpoints,
  Sampler,
  type StoredTensor,
  saveSafetensors,
  TransformerLM,
  type TransformerLMOptions,
  ValueError,
} from 'cfgdistill';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fromFloat32, toFloat32 } from '../lib/models/safetensors.ts';
import { Random } from '../lib/random.ts';
import { randomFloats } from './support/random-data.ts';

const config: TransformerLMOptions = { vocabularySize: 11, depth: 2, width: 16, heads: 2, maxPositions: 24 };
const prompts = [Int32Array.of(3), Int32Array.of(4, 5, 6), Int32Array.of(10, 1)];

let root: string;
/** Holds the inputs, and nothing else between the tests. */
let folder: string;
const at = (name: string): string => join(folder, name);
const inputs = ['bytes.txt', 'diverse.safetensors', 'quality.safetensors'];

/** A model far enough from uniform for its generations to tell weights apart. */
async function saveModel(path: string, seed: number, options = config): Promise<void> {
  const model = new TransformerLM(options, { seed });
  const random = new Random(seed);
  for (const { tensor } of model.parameters()) tensor.write(randomFloats(random, tensor.size, 0.5));
  await model.save(path);
  model.dispose();
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cfgdistill-merge-'));
  folder = join(root, 'inputs');
  mkdirSync(folder);
  await saveModel(at('quality.safetensors'), 1);
  await saveModel(at('diverse.safetensors'), 2);
  writeFileSync(at('bytes.txt'), 'something else');
});
afterAll(() => rm(root, { recursive: true }));
afterEach(async () => {
  for (const name of readdirSync(folder)) if (!inputs.includes(name)) await rm(at(name), { recursive: true });
});

const ends = () => ({ quality: at('quality.safetensors'), diverse: at('diverse.safetensors') });

/** Merges that should fail: with this error, and with every file as it was. */
async function refuses(options: Partial<MergeOptions>, kind: new (message: string) => Error, message: RegExp) {
  const before = snapshot();
  const merging = mergeCheckpoints({ ...ends(), weights: [0.5], output: at('out.safetensors'), ...options });
  await expect(merging).rejects.toThrow(kind);
  await expect(merging).rejects.toThrow(message);
  expect(snapshot()).toEqual(before);
}

function snapshot(): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, readFileSync(path, 'base64')];
    }),
  );
}

async function tensorsOf(path: string): Promise<Map<string, StoredTensor>> {
  return (await loadSafetensors(path)).tensors;
}

/** Off by at most half a unit of float32's last place, and float64's own rounding. */
function expectOneRounding(actual: Float32Array, exact: (index: number) => number): void {
  const wrong = [...actual].filter(
    (value, i) => !(Math.abs(value - exact(i)) <= Math.abs(exact(i)) * 2 ** -24 + 1e-15),
  );
  expect(wrong).toEqual([]);
}

async function generationsOf(path: string): Promise<Generation[]> {
  const model = await TransformerLM.load(path);
  const sampler = new Sampler(model, { seed: 7, stopToken: 0, guidance: { scale: 1.5, negative: Int32Array.of(9) } });
  const all: Generation[] = [];
  for await (const generation of sampler.generate(prompts, { samplesPerPrompt: 5, maxTokens: 12 }))
    all.push(generation);
  model.dispose();
  return all;
}

describe('mergeCheckpoints', () => {
  it.each([
    [0, 'quality.safetensors'],
    [1, 'diverse.safetensors'],
  ])('at λ = %d gives the end bit for bit, and its generations', async (weight, end) => {
    const [merged] = await mergeCheckpoints({ ...ends(), weights: [weight], output: at('out.safetensors') });
    expect(merged).toEqual({ weight, path: at('out.safetensors') });
    expect(await tensorsOf(at('out.safetensors'))).toEqual(await tensorsOf(at(end)));
    const generations = await generationsOf(at('out.safetensors'));
    expect(generations).toEqual(await generationsOf(at(end)));
    const other = end.startsWith('q') ? 'diverse.safetensors' : 'quality.safetensors';
    expect(generations).not.toEqual(await generationsOf(at(other)));
  });

  it('in between and beyond is the float64 interpolation, rounded once', async () => {
    const weights = [0.5, 0.3, -0.25, 1.5];
    const files = await mergeCheckpoints({ ...ends(), weights, output: at('sub/m-{weight}.safetensors') });
    expect(files.map(({ path }) => path)).toEqual(weights.map((weight) => at(`sub/m-${weight}.safetensors`)));
    const [a, b] = await Promise.all([tensorsOf(ends().quality), tensorsOf(ends().diverse)]);
    for (const { weight, path } of files) {
      const merged = await tensorsOf(path);
      expect([...merged.keys()].sort()).toEqual([...a.keys()].sort());
      for (const [name, tensor] of merged) {
        const [x, y] = [toFloat32(a.get(name)!), toFloat32(b.get(name)!)];
        expectOneRounding(toFloat32(tensor), (i) => (1 - weight) * x[i]! + weight * y[i]!);
      }
    }
  });

  it.each(['F16', 'BF16'] as const)('rounds %s once, and keeps its ends bit for bit', async (dtype) => {
    const random = new Random(3);
    const [x, y] = [randomFloats(random, 301, 3), randomFloats(random, 301, 3)].map((values) =>
      fromFloat32(values, [7, 43], dtype),
    ) as [StoredTensor, StoredTensor];
    await saveSafetensors(at('a.safetensors'), [['w', x]]);
    await saveSafetensors(at('b.safetensors'), [['w', y]]);
    const paths = { quality: at('a.safetensors'), diverse: at('b.safetensors') };
    await mergeCheckpoints({ ...paths, weights: [0, 0.5, 1], output: at('m-{weight}.safetensors') });
    const merged = async (weight: number) => (await tensorsOf(at(`m-${weight}.safetensors`))).get('w');
    expect(await merged(0)).toEqual(x);
    expect(await merged(1)).toEqual(y);
    const [a, b] = [toFloat32(x), toFloat32(y)];
    // Sums of two numbers of these types are exact in float32 here, so that only one rounding is left.
    const middle = a.map((value, i) => (value + b[i]!) / 2);
    expect(await merged(0.5)).toEqual(fromFloat32(middle, [7, 43], dtype));
  });

  it('takes tensors of whole numbers and the metadata from the quality-focused end', async () => {
    const steps = (step: number): [string, StoredTensor] => {
      return ['step', { dtype: 'I32', shape: [1], data: new Uint8Array(Int32Array.of(step).buffer) }];
    };
    const weight = (value: number): [string, StoredTensor] => ['w', fromFloat32(Float32Array.of(value), [1])];
    await saveSafetensors(at('a.safetensors'), [steps(5), weight(1)], { beta: '0', task: 'chords' });
    await saveSafetensors(at('b.safetensors'), [steps(9), weight(3)], { beta: '2', task: 'other' });
    const paths = { quality: at('a.safetensors'), diverse: at('b.safetensors') };
    await mergeCheckpoints({ ...paths, weights: [0.5], output: at('m.safetensors'), metadata: { beta: '2' } });
    const { tensors, metadata } = await loadSafetensors(at('m.safetensors'));
    expect(tensors.get('step')).toEqual(steps(5)[1]);
    expect(toFloat32(tensors.get('w')!)).toEqual(Float32Array.of(2));
    expect(metadata).toMatchObject({ beta: '2', task: 'chords' });
    expect(JSON.parse(metadata.merged_from!)).toEqual({ ...paths, weight: 0.5 });
  });

  it('refuses weights and outputs that cannot be meant', async () => {
    await refuses({ weights: [] }, ValueError, /^weights: expected at least one, got none$/);
    await refuses({ weights: [0.5, Number.NaN] }, ValueError, /^weights: expected finite numbers, got NaN$/);
    await refuses({ weights: [0, Number.POSITIVE_INFINITY] }, ValueError, /^weights: .* got Infinity$/);
    await refuses({ weights: [0.25, 0.5] }, ValueError, /^output: expected '\{weight\}' in it/);
    await refuses({ weights: [0.5, 0.5], output: at('m-{weight}') }, ValueError, /m-0\.5 twice$/);
    const twice = `${folder}/{weight}/../m.safetensors`;
    await refuses({ weights: [0.25, 0.5], output: twice }, ValueError, /^output: expected '\{weight\}'/);
  });

  it('refuses an output that is an input, however it is spelt', async () => {
    const own = /^output: expected a file of its own, got the input /;
    await refuses({ output: at('quality.safetensors') }, ValueError, own);
    await refuses({ output: at('diverse.safetensors') }, ValueError, own);
    await refuses({ output: `${folder}/./quality.safetensors` }, ValueError, own);
    await refuses({ output: `${folder}/../inputs//diverse.safetensors` }, ValueError, own);
    symlinkSync(folder, join(root, 'same-folder'));
    await refuses({ output: join(root, 'same-folder', 'diverse.safetensors') }, ValueError, own);
    symlinkSync(at('quality.safetensors'), at('link.safetensors'));
    await refuses({ output: at('link.safetensors') }, ValueError, own);
    linkSync(at('quality.safetensors'), at('m-0.5.safetensors'));
    await refuses({ weights: [0.25, 0.5], output: at('m-{weight}.safetensors') }, ValueError, own);
  });

  it('refuses checkpoints that are missing, damaged or of something else', async () => {
    await refuses({ diverse: at('absent.safetensors') }, CheckpointError, /absent\.safetensors.*no such file/);
    await refuses({ quality: at('bytes.txt') }, CheckpointError, /bytes\.txt/);
    const bytes = readFileSync(at('diverse.safetensors'));
    writeFileSync(at('short.safetensors'), bytes);
    truncateSync(at('short.safetensors'), bytes.length - 4);
    await refuses({ diverse: at('short.safetensors') }, CheckpointError, /short\.safetensors/);
  });

  it('refuses checkpoints whose tensors differ, and names the tensor', async () => {
    const floats = (shape: number[]) => fromFloat32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
    const file = async (name: string, tensors: Record<string, StoredTensor>): Promise<string> => {
      await saveSafetensors(at(name), Object.entries(tensors));
      return at(name);
    };
    const quality = await file('a.safetensors', { v: floats([2, 3]), w: floats([4]) });
    const cases: [Record<string, StoredTensor>, RegExp][] = [
      [{ v: floats([2, 3]) }, /b\.safetensors: expected a tensor 'w' like .*a\.safetensors, got none$/],
      [{ v: floats([2, 3]), w: floats([4]), x: floats([1]) }, /got a further one, 'x'$/],
      [{ v: floats([3, 2]), w: floats([4]) }, /expected 'v' F32 \[2, 3\] like .*, got F32 \[3, 2\]$/],
      [{ v: floats([2, 3]), w: floats([4, 1]) }, /expected 'w' F32 \[4\] like .*, got F32 \[4, 1\]$/],
      [
        { v: floats([2, 3]), w: fromFloat32(new Float32Array(4), [4], 'BF16') },
        /expected 'w' F32 \[4\] like .*, got BF16 \[4\]$/,
      ],
    ];
    for (const [tensors, message] of cases) {
      await refuses({ quality, diverse: await file('b.safetensors', tensors) }, CheckpointError, message);
    }
  });

  it('refuses models whose shapes agree but whose configs do not', async () => {
    await saveModel(at('heads.safetensors'), 3, { ...config, heads: 4, headWidth: 4 });
    await refuses({ diverse: at('heads.safetensors') }, CheckpointError, /expected the config .*"heads":2.*"heads":4/);
  });

  it('copies other types where the ends agree, and refuses them where they differ', async () => {
    const save = (name: string, value: number) => {
      const data = new Uint8Array(Float64Array.of(value, 7).buffer);
      return saveSafetensors(at(name), [['w', { dtype: 'F64', shape: [2], data }]]);
    };
    await save('a.safetensors', 1);
    await save('b.safetensors', 1);
    await save('c.safetensors', 2);
    const output = at('m-{weight}.safetensors');
    await mergeCheckpoints({ quality: at('a.safetensors'), diverse: at('b.safetensors'), weights: [0.5], output });
    expect(await tensorsOf(at('m-0.5.safetensors'))).toEqual(await tensorsOf(at('a.safetensors')));
    const differing = { quality: at('a.safetensors'), diverse: at('c.safetensors'), output };
    await refuses(
      { ...differing, weights: [0, 0.5] },
      DTypeError,
      /^tensor 'w': expected F32, F16, BF16 or whole numbers, or the same values in all, got F64 that differ$/,
    );
    await mergeCheckpoints({ ...differing, weights: [0, 1] });
    expect(await tensorsOf(at('m-0.safetensors'))).toEqual(await tensorsOf(at('a.safetensors')));
    expect(await tensorsOf(at('m-1.safetensors'))).toEqual(await tensorsOf(at('c.safetensors')));
  });

  it('writes nothing once it is aborted', async () => {
    const before = snapshot();
    const reason = new Error('enough');
    const merging = mergeCheckpoints({
      ...ends(),
      weights: [0.25, 0.5],
      output: at('m-{weight}.safetensors'),
      signal: AbortSignal.abort(reason),
    });
    await expect(merging).rejects.toBe(reason);
    expect(snapshot()).toEqual(before);
  });
});

describe('averageCheckpoints', () => {
  it('is the float64 mean of all models by default, and the weighted one otherwise', async () => {
    await saveModel(at('third.safetensors'), 3);
    const checkpoints = [...Object.values(ends()), at('third.safetensors')];
    await averageCheckpoints({ checkpoints, output: at('mean.safetensors') });
    await averageCheckpoints({ checkpoints, weights: [1, 2, 5], output: at('weighted.safetensors') });
    const files = await Promise.all(checkpoints.map(tensorsOf));
    for (const [output, weights] of [
      ['mean.safetensors', [1, 1, 1]],
      ['weighted.safetensors', [1, 2, 5]],
    ] as const) {
      const total = weights.reduce((a, b) => a + b, 0);
      for (const [name, tensor] of await tensorsOf(at(output))) {
        const arrays = files.map((tensors) => toFloat32(tensors.get(name)!));
        expectOneRounding(toFloat32(tensor), (i) => {
          return arrays.reduce((sum, array, f) => sum + array[i]! * weights[f]!, 0) / total;
        });
      }
    }
  });

  it('with one weight left gives that checkpoint bit for bit, and its generations', async () => {
    const checkpoints = Object.values(ends());
    await averageCheckpoints({ checkpoints, weights: [0, 1], output: at('out.safetensors') });
    expect(await tensorsOf(at('out.safetensors'))).toEqual(await tensorsOf(ends().diverse));
    expect(await generationsOf(at('out.safetensors'))).toEqual(await generationsOf(ends().diverse));
  });

  it('refuses bad input, and writes nothing', async () => {
    const checkpoints = Object.values(ends());
    const output = at('out.safetensors');
    const before = snapshot();
    const refused = (options: object, message: RegExp) =>
      expect(averageCheckpoints({ checkpoints, output, ...options })).rejects.toThrow(message);
    await refused({ checkpoints: [] }, /^checkpoints: expected at least one, got none$/);
    await refused({ weights: [1] }, /^weights: expected 2 finite numbers, got \[1\]$/);
    await refused({ weights: [1, Number.NaN] }, /^weights: expected 2 finite numbers, got \[1, NaN\]$/);
    await refused({ weights: [1, -1] }, /^weights: /);
    await refused({ output: checkpoints[1] }, /^output: expected a file of its own/);
    await refused({ output: `${folder}/../inputs/quality.safetensors` }, /^output: expected a file of its own/);
    await refused({ checkpoints: [...checkpoints, at('absent.safetensors')] }, /absent\.safetensors.*no such file/);
    await refused({ signal: AbortSignal.abort(new Error('enough')) }, /^enough$/);
    expect(snapshot()).toEqual(before);
  });
});
