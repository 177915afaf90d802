import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CheckpointError } from '../../lib/errors.ts';
import { averageCheckpoints, mergeCheckpoints } from '../../lib/merge.ts';
import { saveSafetensors } from '../../lib/models/safetensors.ts';
import { Random } from '../../lib/random.ts';
import { floatTensor, snapshot, type Tensors, writeSharded } from '../support/checkpoints.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
const random = new Random(1);
const tensors = (): Tensors => ({ v: floatTensor(random, [40_000]), w: floatTensor(random, [30_000], 'BF16') });
const [a, b] = [tensors(), tensors()];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-failures-'));
  await saveSafetensors(at('a'), Object.entries(a));
  await saveSafetensors(at('b'), Object.entries(b));
  writeSharded(at('q'), [{ v: a.v! }, { w: a.w! }]);
  // An earlier result, and something of somebody else's.
  mkdirSync(at('out'));
  writeFileSync(at('out/m-0.5'), 'old');
  writeFileSync(at('out/other'), 'kept');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const weights = [0, 0.5, 0.7];
/** In many pieces, to an existing folder, a new one, and folders of shards. */
const ways: [string, (options: object) => Promise<unknown>][] = [
  [
    'files',
    (o) =>
      mergeCheckpoints({
        quality: at('a'),
        diverse: at('b'),
        weights,
        output: at('out/m-{weight}'),
        memoryBytes: 81920,
        ...o,
      }),
  ],
  [
    'files in new folders',
    (o) =>
      mergeCheckpoints({
        quality: at('a'),
        diverse: at('b'),
        weights,
        output: at('new/x{weight}/m'),
        memoryBytes: 81920,
        ...o,
      }),
  ],
  [
    'an arc',
    (o) =>
      mergeCheckpoints({
        quality: at('a'),
        diverse: at('b'),
        weights,
        method: 'slerp',
        output: at('out/m-{weight}'),
        memoryBytes: 81920,
        ...o,
      }),
  ],
  [
    'shards',
    (o) =>
      mergeCheckpoints({
        quality: at('q'),
        diverse: at('b'),
        weights,
        output: at('new/s{weight}'),
        memoryBytes: 81920,
        ...o,
      }),
  ],
  [
    'an average',
    (o) =>
      averageCheckpoints({
        checkpoints: [at('a'), at('b'), at('q')],
        output: at('out/m-0.5'),
        memoryBytes: 81920,
        ...o,
      }),
  ],
];

async function prototypeOfHandles(): Promise<FileHandle> {
  const handle = await open(at('a'));
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

describe.each(ways)('what fails leaves nothing behind: %s', (_, merge) => {
  it('a full disk, at any moment', async () => {
    const before = await snapshot(folder);
    const prototype = await prototypeOfHandles();
    const write = prototype.write as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    for (const room of [0, 10, 70_000, 150_000, 220_000]) {
      let left = room;
      const spy = vi.spyOn(prototype, 'write').mockImplementation(async function (
        this: FileHandle,
        ...args: unknown[]
      ) {
        const [buffer, offset, length, position] = args as [Uint8Array, number, number, number];
        // The last write before the end takes a part, as the system's does.
        const taken = Math.min(left, length);
        left -= taken;
        if (taken === 0) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' });
        return write.call(this, buffer, offset, taken, position);
      } as never);
      const merging = merge({});
      await expect(merging).rejects.toThrow(CheckpointError);
      await expect(merging).rejects.toThrow(/: cannot be written: the disk is full$/);
      spy.mockRestore();
      expect(await snapshot(folder)).toEqual(before);
    }
  });

  it('a disk that fails when it is synced', async () => {
    const before = await snapshot(folder);
    const failure = Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO', syscall: 'fsync' });
    vi.spyOn(await prototypeOfHandles(), 'sync').mockRejectedValue(failure);
    await expect(merge({})).rejects.toThrow(/cannot be written: EIO: i\/o error, fsync$/);
    expect(await snapshot(folder)).toEqual(before);
  });

  it('an abort at any piece', async () => {
    const before = await snapshot(folder);
    let pieces = 0;
    for (let last = 0; ; last++) {
      const controller = new AbortController();
      const reason = new Error('enough');
      let seen = 0;
      const onProgress = () => {
        if (seen++ === last * 3) controller.abort(reason);
      };
      const failure = await merge({ signal: controller.signal, onProgress }).then(
        () => null,
        (error: unknown) => error,
      );
      if (!controller.signal.aborted) {
        expect(failure).toBeNull();
        pieces = seen;
        break;
      }
      expect(failure).toBe(reason);
      // The other pieces under way may still end, no further one begins.
      expect(seen - last * 3).toBeLessThanOrEqual(4);
      expect(await snapshot(folder)).toEqual(before);
    }
    expect(pieces).toBeGreaterThan(10);
  });

  it('a callback that throws', async () => {
    const before = await snapshot(folder);
    const failure = new Error('no more');
    let calls = 0;
    const onProgress = () => {
      if (++calls === 5) throw failure;
    };
    await expect(merge({ onProgress })).rejects.toBe(failure);
    expect(await snapshot(folder)).toEqual(before);
  });

  it('an input that is cut short meanwhile', async () => {
    const before = await snapshot(folder);
    const prototype = await prototypeOfHandles();
    const read = prototype.read as (...args: unknown[]) => Promise<{ bytesRead: number }>;
    let calls = 0;
    vi.spyOn(prototype, 'read').mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
      if (++calls > 25) return { bytesRead: 0, buffer: args[0] };
      return read.apply(this, args);
    } as never);
    await expect(merge({})).rejects.toThrow(/expected \d+ bytes or more, but the file ended at \d+$/);
    vi.restoreAllMocks();
    expect(await snapshot(folder)).toEqual(before);
  });
});

it('outputs before the one whose place is taken meanwhile are whole, the others are not there', async () => {
  const onProgress = () => mkdirSync(at('out/m-0.7/in-the-way'), { recursive: true });
  const merging = mergeCheckpoints({
    quality: at('a'),
    diverse: at('b'),
    weights,
    output: at('out/m-{weight}'),
    onProgress,
  });
  await expect(merging).rejects.toThrow(/m-0\.7: cannot be written: /);
  expect(readdirSync(at('out')).sort()).toEqual(['m-0', 'm-0.5', 'm-0.7', 'other']);
  expect(statSync(at('out/m-0.5')).size).toBeGreaterThan(220_000);
});

describe('a small file system', () => {
  const mounted = mountSmall();
  it.skipIf(mounted === null)('that is full leaves the old output and no temporary', async () => {
    const disk = mounted as string;
    try {
      writeFileSync(join(disk, 'm-0.5'), 'old');
      const before = await snapshot(disk);
      const merging = mergeCheckpoints({
        quality: at('a'),
        diverse: at('b'),
        weights,
        output: join(disk, 'm-{weight}'),
      });
      await expect(merging).rejects.toThrow(/m-0(\.\d)?: cannot be written: the disk is full$/);
      expect(await snapshot(disk)).toEqual(before);
      // What fits, is written.
      await mergeCheckpoints({ quality: at('a'), diverse: at('b'), weights: [0.5], output: join(disk, 'm-{weight}') });
      expect(statSync(join(disk, 'm-0.5')).size).toBeGreaterThan(200_000);
    } finally {
      execFileSync('umount', [disk]);
      rmSync(disk, { recursive: true });
    }
  });
});

/** A file system of 512 KiB in memory; null where this process may not mount one. */
function mountSmall(): string | null {
  const disk = join(tmpdir(), `cfgdistill-small-${process.pid}`);
  try {
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', disk], { stdio: 'ignore' });
    return disk;
  } catch {
    rmSync(disk, { recursive: true, force: true });
    return null;
  }
}
