import { mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, systemFailure } from '../files/failure.ts';
import { AtomicFile, syncFolder, temporaryName, writeFileAtomic } from '../files.ts';
import { makeFolder } from './folders.ts';

/** A checkpoint that is being written. It appears at its path by `publish`, whole, or leaves nothing by `discard`. */
export interface Output {
  readonly path: string;
  /** Begins a file of it. Each is synced by its user before `seal`. */
  open(name: string): Promise<AtomicFile>;
  /** Makes all content durable that is not yet. */
  seal(): Promise<void>;
  publish(): Promise<void>;
  /** Removes what is not published, and the folders that were made for it. */
  discard(): Promise<void>;
}

/** A checkpoint in one file, written under a temporary name beside it. */
export class FileOutput implements Output {
  readonly path: string;
  #file: AtomicFile | null = null;
  #removeFolder: (() => Promise<void>) | null = null;

  constructor(path: string) {
    this.path = path;
  }

  async open(): Promise<AtomicFile> {
    this.#removeFolder = await makeFolder(dirname(this.path));
    this.#file = await AtomicFile.create(this.path);
    return this.#file;
  }

  async seal(): Promise<void> {}

  async publish(): Promise<void> {
    await this.#file?.publish();
    this.#removeFolder = null;
  }

  async discard(): Promise<void> {
    await this.#file?.discard();
    await this.#removeFolder?.();
  }
}

/** A checkpoint of several files and an index, written in a temporary folder beside its own. */
export class FolderOutput implements Output {
  readonly path: string;
  readonly #temporary: string;
  readonly #index: { name: string; content: string };
  readonly #files: AtomicFile[] = [];
  #removeFolder: (() => Promise<void>) | null = null;

  /** @param path where nothing is, or an empty folder */
  constructor(path: string, index: { name: string; content: string }) {
    this.path = path;
    this.#temporary = join(dirname(path), temporaryName());
    this.#index = index;
  }

  async open(name: string): Promise<AtomicFile> {
    return this.#told(async () => {
      if (!this.#removeFolder) {
        this.#removeFolder = await makeFolder(dirname(this.path));
        await mkdir(this.#temporary);
      }
      const file = await AtomicFile.create(join(this.#temporary, name));
      this.#files.push(file);
      return file;
    });
  }

  async seal(): Promise<void> {
    await this.#told(async () => {
      for (const file of this.#files) await file.publish();
      await writeFileAtomic(join(this.#temporary, this.#index.name), this.#index.content);
      await syncFolder(this.#temporary);
    });
  }

  async publish(): Promise<void> {
    await this.#told(async () => {
      // An empty folder may stand there; not every system renames over one.
      await rmdir(this.path).catch(() => {});
      await rename(this.#temporary, this.path);
      this.#removeFolder = null;
      await syncFolder(dirname(this.path));
    });
  }

  async discard(): Promise<void> {
    if (!this.#removeFolder) return;
    await Promise.all(this.#files.map((file) => file.discard()));
    await rm(this.#temporary, { recursive: true, force: true });
    await this.#removeFolder();
  }

  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw isSystemError(error) ? systemFailure(this.path, 'written', error) : error;
    }
  }
}
