import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { saveSafetensors } from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, start, TINY_BASE, TINY_EMBEDDER, temporaryFolder } from './command.ts';
import { inProcess } from './in-process.ts';

const { folder, remove } = temporaryFolder();
const home = process.cwd();
const library = process.env.CFGDISTILL_CUDA_LIBRARY;
afterAll(() => {
  delete process.env.CFGDISTILL_CUDA_LIBRARY;
  if (library !== undefined) process.env.CFGDISTILL_CUDA_LIBRARY = library;
  process.chdir(home);
  remove();
});

beforeAll(async () => {
  // There is no GPU here, whatever this machine has.
  process.env.CFGDISTILL_CUDA_LIBRARY = '/no/such/library.so';
  const trained = await Promise.all([
    run(folder, 'train-base', '--steps', '2', ...TINY_BASE, '--quiet'),
    run(folder, 'train-base', '--steps', '2', ...TINY_BASE, '--seed', '2', '--output', 'seed-2.safetensors', '--quiet'),
    run(folder, 'train-embedder', '--steps', '2', ...TINY_EMBEDDER, '--quiet'),
  ]);
  for (const { code, stderr } of trained) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const bytes = readFileSync(join(folder, 'base.safetensors'));
  writeFileSync(join(folder, 'damaged.safetensors'), bytes);
  truncateSync(join(folder, 'damaged.safetensors'), bytes.length - 100);
  const data = new Uint8Array(4);
  await saveSafetensors(join(folder, 'foreign.safetensors'), [['x', { dtype: 'F32', shape: [1], data }]]);
  mkdirSync(join(folder, 'full'));
  writeFileSync(join(folder, 'full', 'letter.txt'), 'dear all');
  process.chdir(folder);
});

/** A right command line of every command that runs models, but for its output. */
const COMMANDS_WITH_MODELS: [string, ...string[]][] = [
  ['demo'],
  ['train-base'],
  ['train-embedder'],
  ['distill', '--base', 'base.safetensors'],
  ['sample', '--model', 'base.safetensors', '--prompt', 'guitar C major'],
  ['evaluate', '--base', 'base.safetensors', '--embedder', 'embedder.safetensors'],
];

/** The command fails with this status, prints nothing, writes nothing, and says why in one line. */
async function refuses(code: number, message: RegExp, ...args: string[]): Promise<void> {
  const before = readdirSync(folder).sort();
  const ended = await inProcess(args);
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr).toMatch(/^cfgdistill: [^\n]+\n$/);
  expect(ended).toMatchObject({ code, stdout: '' });
  expect(readdirSync(folder).sort()).toEqual(before);
}

describe('a wrong command line ends with 2', () => {
  const sample = ['sample', '--model', 'base.safetensors', '--prompt', 'guitar C major'];
  const distill = ['distill', '--base', 'base.safetensors'];
  it.each<[RegExp, string[]]>([
    [/unknown command 'tarin'/, ['tarin']],
    [/unknown option '--stepz'/, ['train-base', '--stepz', '3']],
    [/'--steps <n>' argument missing/, ['train-base', '--steps']],
    [/too many arguments/, ['train-base', 'extra']],
    [/--steps: expected an integer of at least 1, got '0'/, ['train-base', '--steps', '0']],
    [/--steps: expected an integer of at least 1, got '1\.5'/, ['train-base', '--steps', '1.5']],
    [/--steps: expected an integer of at least 1, got ''/, ['train-base', '--steps', '']],
    [/--seed: expected an integer from 0 to 2\^53 - 1, got '-1'/, ['train-base', '--seed', '-1']],
    [/--seed: .*got '9007199254740992'/, ['demo', '--seed', '9007199254740992']],
    [/--task: expected one of chords, tunes, got 'songs'/, ['train-base', '--task', 'songs']],
    [/--heads: expected a divisor of --width 64, got 5/, ['train-base', '--output', 'new.safetensors', '--heads', '5']],
    [/--learning-rate: expected a number above 0, got '0'/, ['train-base', '--learning-rate', '0']],
    [/--batch-size: expected an integer of at least 2, got '1'/, ['train-embedder', '--batch-size', '1']],
    [/--base: expected a checkpoint of train-base, got none/, ['distill']],
    [/--embedder: .* with --beta 2, got none/, [...distill, '--beta', '2']],
    [/--beta: expected a number of at least 0, got '-1'/, [...distill, '--beta', '-1']],
    [/--divergence: expected one of reverse, forward, jsd, got 'kl'/, [...distill, '--divergence', 'kl']],
    [/--rollouts: expected student with/, [...distill, '--rollouts', 'data', '--score-function']],
    [/--jsd-weight: expected a number above 0 and below 1, got '1'/, [...distill, '--jsd-weight', '1']],
    [/--scale: expected a number, got 'NaN'/, [...distill, '--scale', 'NaN']],
    [
      /--samples-per-prompt: expected at least 2 with --beta 1, got 1/,
      [...distill, '--embedder', 'embedder.safetensors', '--beta', '1', '--samples-per-prompt', '1'],
    ],
    [/--model: expected a checkpoint, got none/, ['sample', '--prompt', 'guitar C major']],
    [/--prompt: expected .*guitar C major/, ['sample', '--model', 'base.safetensors']],
    [/--prompt: 'guitar C': expected/, ['sample', '--model', 'base.safetensors', '--prompt', 'guitar C']],
    [/--prompt: 'lute C major': instrument/, ['sample', '--model', 'base.safetensors', '--prompt', 'lute C major']],
    [/--prompt: 'guitar H major': key/, ['sample', '--model', 'base.safetensors', '--prompt', 'guitar H major']],
    [/--prompt: 'guitar C nice': suffix/, ['sample', '--model', 'base.safetensors', '--prompt', 'guitar C nice']],
    [/--top-p: expected a number above 0 and at most 1, got '0'/, [...sample, '--top-p', '0']],
    [/--top-k: expected an integer of at least 1, got '0'/, [...sample, '--top-k', '0']],
    [/--temperature: expected a number of at least 0, got '-0\.5'/, [...sample, '--temperature', '-0.5']],
    [/--quality: expected a checkpoint, got none/, ['merge']],
    [/--diverse: expected a checkpoint, got none/, ['merge', '--quality', 'base.safetensors']],
    [/--weights: .*got '0,half'/, ['merge', '--weights', '0,half']],
    [/--weights: expected 2, one per checkpoint, got 1/, ['merge', '--average', 'a', 'b', '--weights', '1']],
    [/--layer: expected a pattern, '=' and a weight, got 'norm'/, ['merge', '--layer', 'norm']],
    [/--layer: .*got 'norm=x'/, ['merge', '--layer', 'norm=x']],
    [
      /--layer: expected one weight for 'norm', got 1,2/,
      ['merge', '--quality', 'a', '--diverse', 'b', '--layer', 'norm=1,2'],
    ],
    [
      /--layer: expected 2 weights for 'norm', one per checkpoint, got 1/,
      ['merge', '--average', 'a', 'b', '--layer', 'norm=1'],
    ],
    [/--method: expected one of lerp, slerp, got 'mean'/, ['merge', '--method', 'mean']],
    [/--method: expected lerp with --average/, ['merge', '--average', 'a', 'b', '--method', 'slerp']],
    [/--memory: expected an integer of at least 1, got '0'/, ['merge', '--memory', '0']],
    [/--average: expected without/, ['merge', '--average', 'a', 'b', '--quality', 'c']],
    [
      /--output: expected '\{weight\}' in it for 5 weights/,
      ['merge', '--quality', 'a', '--diverse', 'b', '--output', 'm.safetensors'],
    ],
    [/--weights: expected weights that differ/, ['merge', '--quality', 'a', '--diverse', 'b', '--weights', '1,1']],
    [/--embedder: expected a checkpoint of train-embedder, got none/, ['evaluate', '--base', 'base.safetensors']],
    [/--model: expected at least one, or --base/, ['evaluate', '--embedder', 'embedder.safetensors']],
    [/--samples: expected an integer of at least 2, got '1'/, ['evaluate', '--samples', '1']],
    [
      /--model: expected names that differ, got 'base' twice/,
      ['evaluate', '--base', 'base.safetensors', '--embedder', 'embedder.safetensors', '--model', 'base.safetensors'],
    ],
  ])('%s', (message, args) => refuses(2, message, ...args));

  it.each(COMMANDS_WITH_MODELS)('%s: a device or a type that has no such name', async (...args) => {
    for (const name of ['gpu', '', 'CPU', 'cuda:', 'cuda:-1', 'cuda:01', 'cuda:1000', 'cuda:x']) {
      const message = `--device: expected auto, cpu, cuda or cuda:<n>, got '${name}'`;
      await refuses(2, new RegExp(message), ...args, '--device', name);
    }
    await refuses(2, /--compute: expected one of float32, bfloat16, got 'float16'/, ...args, '--compute', 'float16');
  });

  it('merge: runs no model', () => refuses(2, /unknown option '--device'/, 'merge', '--device', 'cpu'));
});

describe('what cannot be done ends with 1', () => {
  const prompt = ['--prompt', 'guitar C major'];
  it.each<[RegExp, string[]]>([
    [/none\.safetensors: cannot be read: there is no such file/, ['sample', '--model', 'none.safetensors', ...prompt]],
    [/damaged\.safetensors: /, ['sample', '--model', 'damaged.safetensors', ...prompt]],
    [
      /foreign\.safetensors: expected a checkpoint of a TransformerLM/,
      ['sample', '--model', 'foreign.safetensors', ...prompt],
    ],
    [
      /embedder\.safetensors: expected a checkpoint of a TransformerLM/,
      ['sample', '--model', 'embedder.safetensors', ...prompt],
    ],
    [/none\.safetensors: cannot be read/, ['distill', '--base', 'none.safetensors']],
    [/damaged\.safetensors: /, ['distill', '--base', 'damaged.safetensors']],
    [/foreign\.safetensors: does not tell the seed of its split/, ['distill', '--base', 'foreign.safetensors']],
    [/none\.safetensors: cannot be read/, ['merge', '--quality', 'base.safetensors', '--diverse', 'none.safetensors']],
    [
      /embedder\.safetensors: expected /,
      ['merge', '--quality', 'base.safetensors', '--diverse', 'embedder.safetensors'],
    ],
    [
      /output: expected a file of its own/,
      ['merge', '--average', 'base.safetensors', 'seed-2.safetensors', '--output', 'base.safetensors', '--quiet'],
    ],
    [
      /seed 1, .*seed-2\.safetensors on that of 2; use checkpoints of one split/,
      ['evaluate', '--base', 'base.safetensors', '--model', 'seed-2.safetensors', '--embedder', 'embedder.safetensors'],
    ],
    [
      /base\.safetensors: expected a checkpoint of a SequenceEncoder/,
      ['evaluate', '--base', 'base.safetensors', '--embedder', 'base.safetensors'],
    ],
    [/--output: base\.safetensors exists already; replace it with --force/, ['train-base', '--steps', '1']],
    [/--output: expected a file, got the folder full/, ['train-base', '--output', 'full']],
    [/--state: expected a new or empty folder/, ['train-base', '--output', 'new.safetensors', '--state', 'full']],
    [
      /--resume: expected an unfinished run in new\.safetensors\.training, found none/,
      ['train-base', '--output', 'new.safetensors', '--resume'],
    ],
    [/output: expected a new or empty folder.*letter\.txt/, ['demo', '--output', 'full']],
  ])('%s', (message, args) => refuses(1, message, ...args));

  it.each(COMMANDS_WITH_MODELS)('%s: a device that is not there', async (...args) => {
    for (const name of ['cuda', 'cuda:1']) {
      const output = ['demo', 'train-base', 'train-embedder', 'distill'].includes(args[0]) ? ['--output', 'new'] : [];
      await refuses(1, /: device: no CUDA backend.*npm run build:cuda/, ...args, ...output, '--device', name);
    }
  });

  it('leaves what was in a refused folder alone', () => {
    expect(readdirSync(join(folder, 'full'))).toEqual(['letter.txt']);
    expect(existsSync(join(folder, 'base.safetensors'))).toBe(true);
  });
});

it.each<[number, RegExp, string[]]>([
  [2, /unknown option '--stepz'/, ['train-base', '--stepz', '3']],
  [2, /--steps: expected an integer of at least 1, got '0'/, ['train-base', '--steps', '0']],
  [1, /none\.safetensors: cannot be read/, ['sample', '--model', 'none.safetensors', '--prompt', 'guitar C major']],
  [1, /damaged\.safetensors: /, ['distill', '--base', 'damaged.safetensors', '--json']],
])('the built command exits with %d: %s', async (code, message, args) => {
  const ended = await run(folder, ...args);
  expect(ended).toMatchObject({ code, stdout: '' });
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr).toMatch(/^cfgdistill: [^\n]+\n$/);
});

it.each([
  ['--verbose', {}],
  ['--json', { CFGDISTILL_DEBUG: '1' }],
])('shows the stack with %s %o', async (flag, env) => {
  const args = ['sample', '--model', 'none.safetensors', '--prompt', 'guitar C major', flag];
  const { code, stderr } = await start(folder, args, env).finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^cfgdistill: none\.safetensors: .*\n(.*\n)*\s+at /);
});
