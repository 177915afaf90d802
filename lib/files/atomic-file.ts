import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, systemFailure } from './failure.ts';

const TEMPORARY = /^\.cfgdistill-[0-9a-f]{16}\.tmp$/;

/** Whether a file's name is that of an unfinished write, as one that was killed leaves behind. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

/** A name for an unfinished write; not derived from the file's own, which may already be as long as the system allows. */
export function temporaryName(): string {
  return `.cfgdistill-${randomBytes(8).toString('hex')}.tmp`;
}

/**
 * A file that appears whole or not at all: `create`, write, `sync`, then `publish` it; `discard` at any moment before
 * leaves nothing. What the system refuses is a CheckpointError that names the file, not its temporary.
 */
export class AtomicFile {
  readonly path: string;
  readonly #temporary: string;
  #handle: FileHandle | null;
  #created = true;

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** Opens a temporary in the folder of `path`, which must exist. */
  static async create(path: string): Promise<AtomicFile> {
    const temporary = join(dirname(path), temporaryName());
    try {
      return new AtomicFile(path, temporary, await open(temporary, 'wx'));
    } catch (error) {
      throw told(path, error);
    }
  }

  /** The open file, until `sync`. */
  get handle(): FileHandle {
    if (!this.#handle) throw new Error(`${this.path} is closed`);
    return this.#handle;
  }

  /** Writes all of `bytes` at `position`, in bytes from the file's start. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      // A write may take only a part, as it does when the disk is about to be full.
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await this.handle.write(bytes, done, bytes.byteLength - done, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw told(this.path, error);
    }
  }

  /** Waits until the content is on the disk, and closes the file. */
  async sync(): Promise<void> {
    try {
      await this.handle.sync();
      await this.#close();
    } catch (error) {
      throw told(this.path, error);
    }
  }

  /** Gives the synced file its name, in place of whatever has it, and makes that durable. */
  async publish(): Promise<void> {
    try {
      await rename(this.#temporary, this.path);
      this.#created = false;
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw told(this.path, error);
    }
  }

  /** Closes the file and removes it, unless it was published. */
  async discard(): Promise<void> {
    try {
      await this.#close();
    } finally {
      if (this.#created) await rm(this.#temporary, { force: true });
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }
}

/** Makes a rename durable. Not every system can sync a folder; those that cannot say so and are left alone. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    if (!isSystemError(error) || !['EINVAL', 'EPERM', 'EACCES', 'EISDIR', 'ENOTSUP'].includes(error.code ?? '')) {
      throw error;
    }
  } finally {
    await handle?.close();
  }
}

function told(path: string, error: unknown): unknown {
  return isSystemError(error) ? systemFailure(path, 'written', error) : error;
}
