import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ValueError } from '../errors.ts';
import type { Checkpoint } from '../models/safetensors/checkpoint.ts';
import { realPath } from './folders.ts';

/**
 * Checks where outputs are to go, before anything is written.
 *
 * @param sharded whether each is a folder of shards; then it must be new or empty
 * @throws ValueError for outputs at one place, at an input's, or where something else is
 */
export async function checkTargets(
  targets: readonly string[],
  inputs: readonly Checkpoint[],
  sharded: boolean,
): Promise<void> {
  const places = await Promise.all(targets.map(async (path) => join(await realPath(dirname(path)), basename(path))));
  if (new Set(places).size !== places.length) {
    throw new ValueError(
      `output: expected '{weight}' in it, so that the outputs differ, got ${targets[0]} twice`,
      'output',
    );
  }
  const paths = inputs.flatMap(({ path, files, index }) => {
    const shards = files.map((file) => file.path);
    if (!index) return shards;
    const folders = shards.map((shard) => dirname(shard));
    return [path, ...shards, ...folders, ...folders.map((folder) => join(folder, index.name))];
  });
  const existing = new Set(await Promise.all(paths.map(fileIdentity)));
  for (const target of targets) {
    const own = await fileIdentity(target);
    if (own === null) continue;
    if (existing.has(own)) {
      throw new ValueError(`output: expected a file of its own, got the input ${target}`, 'output');
    }
    if (sharded) await checkEmpty(target);
    else if ((await stat(target)).isDirectory()) {
      throw new ValueError(`output: expected a file, got the folder ${target}`, 'output');
    }
  }
}

async function checkEmpty(target: string): Promise<void> {
  const refuse = (got: string): never => {
    throw new ValueError(
      `output: expected a new or empty folder, as the input is sharded, got ${got} ${target}; nothing in it was touched`,
      'output',
    );
  };
  if (!(await stat(target)).isDirectory()) refuse('the file');
  if ((await readdir(target)).length > 0) refuse('the folder');
}

/** What two paths share when they lead to one file, however they are spelt; null where there is none. */
async function fileIdentity(path: string): Promise<string | null> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
