// Commands that end in time: each runs in a process group of its own, which is ended as a whole.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const running = new Set();

function end(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it has ended
  }
}

/** Ends everything that still runs. */
export function endAll() {
  for (const child of running) end(child, 'SIGKILL');
}

/**
 * Runs a command for at most so many seconds; what it prints goes to a file, and its last lines into the result.
 *
 * @returns {Promise<{ code: number | null, timedOut: boolean, seconds: number, lastLines: string[] }>} code null: it could
 *   not be started, or a signal ended it
 */
export async function limited([program, ...args], { seconds, log, cwd, env }) {
  const begin = performance.now();
  const file = createWriteStream(log);
  let tail = '';
  let timedOut = false;
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const keep = (chunk) => {
    file.write(chunk);
    tail = (tail + chunk).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const over = new AbortController();
  const code = await new Promise((resolve) => {
    child.once('error', (error) => {
      keep(`${program}: ${error.message}\n`);
      resolve(null);
    });
    child.once('close', resolve);
    if (child.pid === undefined) return;
    running.add(child);
    setTimeout(1000 * seconds, undefined, { signal: over.signal })
      .then(async () => {
        timedOut = true;
        end(child, 'SIGTERM');
        await setTimeout(2000, undefined, { signal: over.signal });
        end(child, 'SIGKILL');
      })
      .catch(() => {});
  });
  over.abort();
  running.delete(child);
  await new Promise((resolve) => file.end(resolve));
  const lastLines = tail.trimEnd().split('\n').slice(-6);
  return { code, timedOut, seconds: (performance.now() - begin) / 1000, lastLines };
}
