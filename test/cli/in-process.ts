import { vi } from 'vitest';
import { exitCodeOf, tellError } from '../../lib/cli/failure.ts';
import { createProgram } from '../../lib/cli/program.ts';

/** What the command does with its arguments, in this process: a process for each case would take minutes. */
export async function inProcess(args: readonly string[]) {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      written[name] += chunk;
      return true;
    }),
  );
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return { code: 0, ...written };
  } catch (error) {
    tellError(error);
    return { code: exitCodeOf(error), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
