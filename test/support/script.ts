import { spawn } from 'node:child_process';
import { addonPath } from '../../lib/addon.ts';
import { SANITIZED } from './sanitized.ts';

/** What a script begins with to have the bare addon, as `addon`. */
export const LOAD_ADDON = `
  const addon = require(${JSON.stringify(addonPath())});
`;
/** What a script begins with to have the built library, as `cfgdistill`, in an asynchronous function. */
export const LOAD_LIBRARY = `
  const cfgdistill = await import(${JSON.stringify(new URL('../../dist/index.mjs', import.meta.url).href)});
`;

export interface ScriptEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/**
 * Runs a CommonJS script in a process of its own, whose crash is then a failed test and not the end of all of them.
 * Killed after `seconds`, which shows as a signal.
 */
export function runScript(
  script: string,
  { env = {}, args = [], seconds = 50 }: { env?: NodeJS.ProcessEnv; args?: string[]; seconds?: number } = {},
): Promise<ScriptEnd> {
  const child = spawn(process.execPath, [...args, '-e', script], {
    env: { ...process.env, CFGDISTILL_THREADS: '3', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 1000 * seconds * (SANITIZED ? 20 : 1),
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, output }));
  });
}
