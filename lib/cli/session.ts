import { type Command, Option } from 'commander';
import { abortOnInterrupt } from './abort.ts';
import { BarProgress, type Progress, silent } from './progress.ts';

/** What a running command has to do with its user. */
export interface Session {
  /** Aborted by the first Ctrl-C. */
  signal: AbortSignal;
  progress: Progress;
  /** A remark, on standard error. */
  note(line: string): void;
}

/** What a command ends with: an object for scripts, and the same for people. */
export interface Result {
  json: Readonly<Record<string, unknown>>;
  text: string;
}

/**
 * Completes a command: adds the options that all share, and runs `body` between a Ctrl-C handler and the output of its
 * result on standard output. The command's arguments follow the session.
 *
 * @param stopping what the first Ctrl-C says
 */
export function action<O extends object, Given extends string[] = []>(
  command: Command,
  { stopping, body }: { stopping: string; body: (options: O, session: Session, ...given: Given) => Promise<Result> },
): void {
  command
    .addOption(new Option('--json', 'print one JSON object on standard output; no progress bars, no remarks'))
    .addOption(new Option('--quiet', 'no progress bars and no remarks, only the result'))
    .addOption(new Option('--verbose', 'on an error, print the stack trace too'))
    .helpOption('-h, --help', 'show this help')
    .action(async (...all: unknown[]) => {
      // Commander passes the arguments, then the options, then the command.
      const given = all.slice(0, -2) as Given;
      const options = all.at(-2) as O & { json?: boolean; quiet?: boolean };
      const still = options.json || options.quiet;
      const { signal, release } = abortOnInterrupt(stopping);
      try {
        const session: Session = {
          signal,
          progress: still ? silent : new BarProgress(),
          note: still ? () => {} : (line) => void process.stderr.write(`${line}\n`),
        };
        const { json, text } = await body(options, session, ...given);
        process.stdout.write(options.json ? `${JSON.stringify(json)}\n` : `${text}\n`);
      } finally {
        release();
      }
    });
}
