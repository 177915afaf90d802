import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, start, stopped as stoppedAt, TINY_BASE, TINY_EMBEDDER, temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

const stopped = (args: string[], state: string, signal: NodeJS.Signals) => {
  return stoppedAt(folder, [...args, '--save-every', '1'], state, signal);
};

async function succeeds(...args: string[]): Promise<void> {
  const { code, stderr } = await run(folder, ...args, '--quiet');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

function expectSameFile(a: string, b: string): void {
  expect(readFileSync(at(a)).equals(readFileSync(at(b)))).toBe(true);
}

beforeAll(async () => {
  await succeeds('train-base', '--steps', '5', ...TINY_BASE, '--output', 'start.safetensors');
  await succeeds('train-embedder', '--steps', '5', ...TINY_EMBEDDER, '--output', 'judge.safetensors');
});

const DISTILL = ['distill', '--base', 'start.safetensors', '--embedder', 'judge.safetensors', '--beta', '1'];
const RUNS: [string, string[], string][] = [
  ['train-base', ['train-base', '--steps', '200', ...TINY_BASE], 'base.safetensors'],
  ['train-embedder', ['train-embedder', '--steps', '200', ...TINY_EMBEDDER], 'contrastive.safetensors'],
  ['distill', [...DISTILL, '--steps', '100', '--prompts-per-step', '8'], 'trainer.safetensors'],
];

describe.each(RUNS)('%s', (name, args, state) => {
  const whole = `${name}-whole.safetensors`;
  const parts = `${name}-parts.safetensors`;
  const folderOf = `${parts}.training`;

  it('saves at Ctrl-C and goes on to the weights of a run that was never stopped', async () => {
    await succeeds(...args, '--output', whole);
    const { code, stdout, stderr } = await stopped([...args, '--output', parts], join(folderOf, state), 'SIGINT');
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/Saved step \d+ of \d+ in .*--resume goes on from there/);
    expect(stderr).toMatch(/cfgdistill: interrupted\n$/);
    expect(existsSync(at(parts))).toBe(false);
    const [, done, steps] = stderr.match(/Saved step (\d+) of (\d+)/) as [string, string, string];
    expect(Number(done)).toBeGreaterThan(0);
    expect(Number(done)).toBeLessThan(Number(steps));

    const again = await run(folder, ...args, '--output', parts);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(
      /^cfgdistill: .* holds an unfinished run: go on with --resume, or drop it with --force\n$/,
    );

    const other = await run(folder, name, '--output', parts, '--resume', '--steps', '7');
    expect(other).toMatchObject({ code: 2, stdout: '' });
    expect(other.stderr).toMatch(/^cfgdistill: --steps: the unfinished run in .* has \d+, got 7; [^\n]+\n$/);

    const rounded = await run(folder, name, '--output', parts, '--resume', '--compute', 'bfloat16');
    expect(rounded).toMatchObject({ code: 2, stdout: '' });
    expect(rounded.stderr).toMatch(/^cfgdistill: --compute: the unfinished run in .* has float32, got bfloat16; /);

    // The options are remembered.
    await succeeds(name, '--output', parts, '--resume');
    expectSameFile(parts, whole);
    expect(existsSync(at(folderOf))).toBe(false);
  }, 120_000);

  it('goes on after a kill from the last saved step', async () => {
    rmSync(at(parts), { force: true });
    await stopped([...args, '--output', parts], join(folderOf, state), 'SIGKILL');
    expect(existsSync(at(parts))).toBe(false);
    // As a kill in the midst of a write leaves it.
    writeFileSync(at(join(folderOf, '.cfgdistill-0123456789abcdef.tmp')), 'half');
    // Nor does it matter that the device asked for first is not there, or that the run is older than the types.
    const elsewhere = [...args, '--output', parts, '--resume', '--device', 'cuda'];
    const { code, stderr } = await start(folder, elsewhere, { CFGDISTILL_CUDA_LIBRARY: '/no/such/library.so' })
      .finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^cfgdistill: device: no CUDA backend[^\n]*\n$/);
    const marker = at(join(folderOf, 'cfgdistill.json'));
    const { settings, ...rest } = JSON.parse(readFileSync(marker, 'utf8'));
    expect(settings.compute).toBe('float32');
    writeFileSync(marker, JSON.stringify({ ...rest, settings: { ...settings, compute: undefined } }));
    const rounded = await run(folder, ...args, '--output', parts, '--resume', '--compute', 'bfloat16');
    expect(rounded).toMatchObject({ code: 2, stdout: '' });
    await succeeds(...args, '--output', parts, '--resume', '--device', 'cpu', '--compute', 'float32');
    expectSameFile(parts, whole);
    expect(existsSync(at(folderOf))).toBe(false);
  }, 120_000);
});

describe('a resumed run', () => {
  const args = ['train-base', '--steps', '500', ...TINY_BASE, '--output', 'base.safetensors'];
  const state = join('base.safetensors.training', 'base.safetensors');

  it('refuses a damaged state, and can be started anew', async () => {
    await stopped(args, state, 'SIGINT');
    writeFileSync(at(state), 'no longer a checkpoint');
    const { code, stderr } = await run(folder, ...args, '--resume');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^cfgdistill: [^\n]*base\.safetensors: [^\n]+\n$/);
    await succeeds('train-base', '--steps', '2', ...TINY_BASE, '--output', 'base.safetensors', '--force');
    expect(existsSync(at('base.safetensors.training'))).toBe(false);
  });

  it('refuses to go on from another base model', async () => {
    const output = ['--output', 'changed.safetensors'];
    const first = [...DISTILL, '--steps', '500', '--prompts-per-step', '4', ...output];
    await stopped(first, join('changed.safetensors.training', 'trainer.safetensors'), 'SIGINT');
    await succeeds('train-base', '--steps', '6', ...TINY_BASE, '--output', 'start.safetensors', '--force');
    const { code, stderr } = await run(folder, 'distill', ...output, '--resume');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^cfgdistill: [^\n]*'baseDigest'[^\n]*a file it was started from has changed\n$/);
  });
});
