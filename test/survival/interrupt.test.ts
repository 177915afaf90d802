import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { start, TINY_BASE, temporaryFolder } from '../cli/command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('the second %s ends a command at once, in the midst of training', async (signal, code) => {
  const output = `${signal}.safetensors`;
  const { child, finished } = start(folder, ['train-base', '--steps', '100000', ...TINY_BASE, '--output', output]);
  let told = '';
  child.stderr?.on('data', (text: Buffer) => {
    if (told.includes('Ctrl-C again')) return;
    told += text;
    if (told.includes('Ctrl-C again')) child.kill(signal);
  });
  // The first as soon as it is at work, which the folder of its state shows.
  const working = setInterval(() => {
    if (!existsSync(join(folder, `${output}.training`))) return;
    clearInterval(working);
    child.kill(signal);
  }, 5);
  const ended = await finished;
  clearInterval(working);
  // The first may have been through with saving before the second came.
  expect(ended.code).toBe(code === 143 && ended.stderr.includes('interrupted') ? 130 : code);
  expect(existsSync(join(folder, output))).toBe(false);
});
