import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError } from '../lib/errors.ts';
import { averageCheckpoints, mergeCheckpoints } from '../lib/merge.ts';
import { openCheckpoint } from '../lib/models/safetensors/checkpoint.ts';
import { readMetadata } from '../lib/models/safetensors/open.ts';
import { loadSafetensors, parseSafetensors } from '../lib/models/safetensors.ts';
import { goodShards, HOSTILE_INDICES, INDEX } from './support/hostile-index.ts';
import { entry, HOSTILE_FILES, ODD_NAMES, safetensorsFile } from './support/hostile-safetensors.ts';

let folder: string;
let good: string;
let output: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-hostile-'));
  good = join(folder, 'good.safetensors');
  output = join(folder, 'made', 'out.safetensors');
  await writeFile(good, safetensorsFile({ a: entry('F32', [1], 0, 4) }, 4));
});
afterAll(() => rm(folder, { recursive: true }));

async function failureOf(work: () => unknown): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a failure');
}

/** Every way in which a path can be read. */
const readers: Record<string, (path: string) => Promise<unknown>> = {
  loadSafetensors,
  openCheckpoint,
  'mergeCheckpoints, first': (path) => mergeCheckpoints({ quality: path, diverse: good, weights: [0.5], output }),
  'mergeCheckpoints, second': (path) =>
    mergeCheckpoints({ quality: good, diverse: path, weights: [0, 1], output: `${output}{weight}` }),
  averageCheckpoints: (path) => averageCheckpoints({ checkpoints: [good, path, good], output }),
  readMetadata,
};

describe('hostile files', () => {
  it('are at least 60, of as many faults, and each is told apart', () => {
    const messages = HOSTILE_FILES.map(({ bytes }) => {
      try {
        parseSafetensors(bytes, 'file');
      } catch (error) {
        return (error as Error).message;
      }
      return 'read';
    });
    expect(HOSTILE_FILES.length).toBeGreaterThanOrEqual(60);
    const said = new Map<string, string[]>();
    HOSTILE_FILES.forEach(({ fault }, i) => {
      said.set(messages[i]!, [...(said.get(messages[i]!) ?? []), fault]);
    });
    // One fault, made in several ways.
    const alike = [...said.values()].filter((faults) => faults.length > 1);
    expect(alike).toEqual([
      ['a length of 0', 'spaces as header'],
      ['100,000 open brackets', '100,000 closed brackets', '100,000 objects in each other'],
      ['a zip archive of torch.save', 'a bare pickle'],
    ]);
    expect(Math.max(...messages.map((message) => message.length))).toBeLessThan(400);
  });

  it.each(HOSTILE_FILES.map((hostile) => [hostile.fault, hostile] as const))(
    'with %s',
    async (_, { bytes, message }) => {
      const memory = process.resourceUsage().maxRSS;
      const expected = await failureOf(() => parseSafetensors(bytes, 'SOURCE'));
      expect(expected).toBeInstanceOf(CheckpointError);
      expect(expected.message).toMatch(message);
      const path = join(folder, 'hostile.safetensors');
      await writeFile(path, bytes);
      for (const [name, read] of Object.entries(readers)) {
        const error = await failureOf(() => read(path));
        expect(error, name).toBeInstanceOf(CheckpointError);
        expect((error as CheckpointError).argument).toBe(path);
        expect(error.message.replace(path, 'SOURCE'), name).toBe(expected.message);
      }
      expect((await readdir(folder)).sort()).toEqual(['good.safetensors', 'hostile.safetensors']);
      // Whatever sizes a file claims, what it takes is of the order of its own.
      expect(process.resourceUsage().maxRSS - memory).toBeLessThan(64 * 1024);
    },
  );

  it.each(ODD_NAMES.map((name) => [name.slice(0, 20), name]))('reads the odd name %j', async (_, name) => {
    const path = join(folder, 'hostile.safetensors');
    await writeFile(path, safetensorsFile({ [name]: entry('F32', [1], 0, 4), __metadata__: { [name]: 'v' } }, 4));
    const { tensors, metadata } = await loadSafetensors(path);
    expect([...tensors.keys()]).toEqual([name]);
    expect(Object.entries(metadata)).toEqual([[name, 'v']]);
    await mergeCheckpoints({ quality: path, diverse: path, weights: [0.5], output });
    expect([...(await loadSafetensors(output)).tensors.keys()]).toEqual([name]);
    expect({}).not.toHaveProperty('v');
    await rm(join(folder, 'made'), { recursive: true });
  });
});

describe('hostile indices', () => {
  it('differ from a good one, which is read', async () => {
    const path = join(folder, 'sharded');
    await fill(path, goodShards());
    const { tensors, close } = await openCheckpoint(path);
    expect([...tensors.keys()]).toEqual(['a', 'b', 'c']);
    await close();
  });

  it.each(HOSTILE_INDICES.map((hostile) => [hostile.fault, hostile] as const))(
    'with %s',
    async (_, { files, message }) => {
      const path = join(folder, 'sharded');
      // What no path may reach.
      await writeFile(join(folder, 'outside.safetensors'), safetensorsFile({ a: entry('F32', [1], 0, 4) }, 4));
      await fill(path, files);
      const error = await failureOf(() => openCheckpoint(path));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toMatch(message);
      for (const way of [path, join(path, INDEX)]) {
        for (const ends of [
          { quality: way, diverse: good },
          { quality: good, diverse: way },
        ]) {
          const failure = await failureOf(() =>
            mergeCheckpoints({ ...ends, weights: [0.5], output: join(folder, 'made') }),
          );
          expect(failure).toBeInstanceOf(CheckpointError);
          expect(failure.message).toBe(error.message);
        }
      }
      expect(await readdir(folder)).not.toContain('made');
      expect((await readdir(path)).sort()).toEqual(Object.keys(files).sort());
    },
  );

  it('takes shards that are links, as caches of models have them', async () => {
    const path = join(folder, 'sharded');
    const files = goodShards();
    await fill(path, { [INDEX]: files[INDEX] as string });
    for (const [name, content] of Object.entries(files).filter(([name]) => name !== INDEX)) {
      await writeFile(join(folder, `blob-${name}`), content);
      await symlink(join(folder, `blob-${name}`), join(path, name));
    }
    const { tensors, close } = await openCheckpoint(path);
    expect(tensors.size).toBe(3);
    await close();
  });
});

async function fill(path: string, files: Record<string, Uint8Array | string>): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path);
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
}
