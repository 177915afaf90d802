import type { Command } from 'commander';
import { adviceOn } from '../doctor/advice.ts';
import { describe } from '../doctor/describe.ts';
import { examine } from '../doctor/examine.ts';
import { EXIT } from '../failure.ts';
import { action } from '../session.ts';

/** This command runs where the addon does not load: neither it nor what it imports may import the addon. */
export function doctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .summary('show what this machine has and what to do about what is missing')
    .description(
      'Shows the native addon in use, the processor, the CUDA backend, the driver and the GPUs, which device `auto` is, and ' +
        'what to do about what is missing. Everything is tried in processes of its own. Exit status: 0 when models can run (a ' +
        'CPU is enough), 1 when the addon does not load.',
    );
  action(command, {
    stopping: 'Stopping.',
    body: async () => {
      const findings = await examine();
      const advice = adviceOn(findings);
      if (!findings.addon.loads) process.exitCode = EXIT.error;
      return { json: { command: 'doctor', ...findings, advice }, text: describe(findings, advice) };
    },
  });
}
