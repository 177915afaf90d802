import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ValueError } from '../errors.ts';
import { writeFileAtomic } from '../files.ts';
import { Turns } from '../turns.ts';
import { UsageError } from './failure.ts';
import { fileStem } from './file-stem.ts';
import type { Session } from './session.ts';
import type { CliTask, TaskPrompt } from './tasks/task.ts';

/** The files of drawn answers in a folder: for every answer one of each of the task's kinds. */
export class AnswerFiles {
  readonly #folder: string;
  readonly #task: CliTask;
  readonly #prompts: readonly TaskPrompt[];

  private constructor(folder: string, task: CliTask, prompts: readonly TaskPrompt[]) {
    this.#folder = folder;
    this.#task = task;
    this.#prompts = prompts;
  }

  /**
   * Says what will be written where, before anything is drawn, and makes the folder.
   *
   * Rejects with UsageError for a task without files, with ValueError when the folder is a file, cannot be made, or has
   * files of the names already and is not forced.
   */
  static async plan(
    folder: string,
    task: CliTask,
    prompts: readonly TaskPrompt[],
    samples: number,
    { force = false }: { force?: boolean },
  ): Promise<AnswerFiles> {
    if (!task.files) throw new UsageError(`--output: task '${task.name}' has no files to write`);
    const status = await stat(folder).catch(() => null);
    if (status && !status.isDirectory()) throw new ValueError(`--output: expected a folder, got the file ${folder}`);
    const stems = new Set(
      prompts.flatMap((prompt, p) => Array.from({ length: samples }, (_, s) => stem(prompt, p, s))),
    );
    const there = status ? await readdir(folder) : [];
    const taken = there.find((name) => stems.has(name.replace(/\.[^.]*$/, '')));
    if (taken !== undefined && !force) {
      throw new ValueError(`--output: ${join(folder, taken)} exists already; replace it with --force`);
    }
    try {
      await mkdir(folder, { recursive: true });
    } catch (cause) {
      const { message } = cause as Error;
      throw new ValueError(`--output: the folder ${folder} cannot be made: ${message}`, 'output', { cause });
    }
    return new AnswerFiles(folder, task, prompts);
  }

  /**
   * Writes the files of every answer, each whole or not at all.
   *
   * @param drawn by prompt and sample
   * @returns the paths, by prompt and sample; none for an answer that cannot be written, of which a remark tells
   */
  async write(drawn: readonly (readonly Int32Array[])[], { progress, signal, note }: Session): Promise<string[][][]> {
    const turns = new Turns();
    const failed: string[] = [];
    let done = 0;
    progress.start(
      'Writing',
      drawn.reduce((sum, { length }) => sum + length, 0),
    );
    try {
      const paths: string[][][] = [];
      for (const [p, own] of drawn.entries()) {
        const prompt = this.#prompts[p] as TaskPrompt;
        const ofPrompt: string[][] = [];
        for (const [s, tokens] of own.entries()) {
          signal.throwIfAborted();
          ofPrompt.push(await this.#writeOne(prompt, tokens, join(this.#folder, stem(prompt, p, s)), failed));
          progress.update(++done);
          await turns.pause();
        }
        paths.push(ofPrompt);
      }
      return paths;
    } finally {
      progress.stop();
      for (const message of failed) note(message);
    }
  }

  async #writeOne(prompt: TaskPrompt, tokens: Int32Array, path: string, failed: string[]): Promise<string[]> {
    try {
      const files = (await this.#task.files?.(prompt, tokens)) ?? [];
      for (const { extension, content } of files) await writeFileAtomic(path + extension, content);
      return files.map(({ extension }) => path + extension);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      failed.push(`Note: ${path} was not written: ${error.message}`);
      return [];
    }
  }
}

/** "1-a-jig-in-6-8-d-major-2": the prompt's number and words, the sample's number. */
function stem({ text }: TaskPrompt, prompt: number, sample: number): string {
  return [prompt + 1, fileStem(text), sample + 1].filter((part) => part !== '').join('-');
}
