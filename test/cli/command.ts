import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts the built command in a folder. */
export function start(folder: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { ...process.env, CFGDISTILL_DEBUG: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { child, finished: finish(child) };
}

function finish(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs the built command in a folder to its end. */
export function run(folder: string, ...args: string[]): Promise<Finished> {
  return start(folder, args).finished;
}

/** Starts a command, sends a signal once a file (its state, saved the first time) is there, and waits for the end. */
export async function stopped(folder: string, args: string[], file: string, signal: NodeJS.Signals): Promise<Finished> {
  const { child, finished } = start(folder, args);
  const watch = setInterval(() => {
    if (existsSync(join(folder, file))) {
      clearInterval(watch);
      child.kill(signal);
    }
  }, 2);
  const ended = await finished;
  clearInterval(watch);
  return ended;
}

/** Runs the command with --json and returns its object; fails unless it ends with 0 and prints exactly one object. */
export async function json(folder: string, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(folder, ...args, '--json');
  if (code !== 0 || stderr !== '' || stdout.trimEnd().includes('\n')) {
    throw new Error(`cfgdistill ${args.join(' ')}: exit ${code}, standard error '${stderr}', output '${stdout}'`);
  }
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** A temporary folder with what removes it. */
export function temporaryFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-cli-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Options of a base model that trains in a second. */
export const TINY_BASE = ['--depth', '1', '--width', '16', '--heads', '2', '--batch-size', '16'];
/** Options of an embedder that trains in a second. */
export const TINY_EMBEDDER = [...TINY_BASE, '--dimensions', '8'];
