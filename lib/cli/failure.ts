import { CommanderError } from 'commander';
import { Interrupted } from './abort.ts';

/** What the command's exit status says. */
export const EXIT = { ok: 0, error: 1, usage: 2, interrupted: 130 } as const;

/** The command line itself is wrong: an option's value, or options that do not go together. */
export class UsageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UsageError';
  }
}

/** The exit status for what a command threw. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof Interrupted) return EXIT.interrupted;
  return EXIT.error;
}

/** One line on standard error; the stack as well with --verbose or CFGDISTILL_DEBUG. */
export function tellError(error: unknown): void {
  // The parser has written its own line.
  if (error instanceof CommanderError) return;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`cfgdistill: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  if (wantsStack() && error instanceof Error && !(error instanceof Interrupted)) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) process.stderr.write(`${at.stack}\n`);
  }
}

function wantsStack(): boolean {
  return process.argv.includes('--verbose') || !!process.env.CFGDISTILL_DEBUG;
}
