#!/usr/bin/env node
import { exitCodeOf, tellError } from './failure.ts';

// Loaded here and not above: an addon that is not built is then one clear line too.
try {
  const { createProgram } = await import('./program.ts');
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has seen enough, as `head` has.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  await createProgram().parseAsync();
} catch (error) {
  tellError(error);
  process.exitCode = exitCodeOf(error);
}
