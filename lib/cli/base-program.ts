import { createRequire } from 'node:module';
import { Command } from 'commander';

export const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** The program without its commands. Parsing rejects with what went wrong and leaves the exit status to its caller. */
export function baseProgram(): Command {
  return new Command('cfgdistill')
    .description(
      'Diversity-rewarded distillation of classifier-free guidance (arXiv 2410.06084): finetunes an autoregressive ' +
        'model so that one pass gives what guidance needs two for, rewards it for generating different things for one ' +
        'prompt, and merges a quality-focused with a diversity-focused model.',
    )
    .version(version)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => {
        const line = text
          .replace(/^error: /, '')
          .trim()
          .replace(/\s*\n\s*/g, ' ');
        write(`cfgdistill: ${line}\n`);
      },
    });
}
