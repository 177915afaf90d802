#!/usr/bin/env node
import type { Command } from 'commander';
import { exitCodeOf, tellError } from './failure.ts';

async function main(): Promise<void> {
  // Loaded here and not above: an addon that is not built is then one clear line too.
  const program = process.argv[2] === 'doctor' ? await doctorAlone() : (await import('./program.ts')).createProgram();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has seen enough, as `head` has.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  await program.parseAsync();
}

/** The command for machines on which the others cannot even be imported. */
async function doctorAlone(): Promise<Command> {
  const program = (await import('./base-program.ts')).baseProgram();
  (await import('./commands/doctor.ts')).doctorCommand(program);
  return program;
}

main().catch((error: unknown) => {
  tellError(error);
  process.exitCode = exitCodeOf(error);
});
