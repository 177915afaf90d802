import { Presets, SingleBar } from 'cli-progress';

/** Where a long command shows how far it is. */
export interface Progress {
  /** Begins a stage of this many units. */
  start(title: string, total: number): void;
  /** `detail` is a short text after the bar, such as the loss. */
  update(done: number, detail?: string): void;
  stop(): void;
}

/** A bar with the time left, on standard error: standard output stays for results. */
export class BarProgress implements Progress {
  #bar: SingleBar | null = null;

  start(title: string, total: number): void {
    this.#bar = new SingleBar(
      {
        format: `${title.padEnd(26)} {bar} {percentage} %  {value}/{total}  {eta_formatted} left  {detail}`,
        barsize: 24,
        hideCursor: true,
        stream: process.stderr,
        // Without a terminal a line now and then, so that logs stay readable.
        noTTYOutput: true,
        notTTYSchedule: 5000,
        etaBuffer: 30,
        gracefulExit: false,
      },
      Presets.shades_classic,
    );
    this.#bar.start(total, 0, { detail: '' });
  }

  update(done: number, detail = ''): void {
    this.#bar?.update(done, { detail });
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = null;
  }
}

/** Shows nothing. */
export const silent: Progress = { start() {}, update() {}, stop() {} };
