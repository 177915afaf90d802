import { execFile } from 'node:child_process';
import { addonPath } from '../addon.ts';
import { DeviceError, OutOfMemoryError } from '../errors.ts';
import type { DeviceId } from '../native.ts';

/** How long a driver may take to open a device, in ms. */
const PATIENCE = 30_000;

/** Loads the addon and asks it; the answer is the last line, after whatever a driver may have printed. */
const SCRIPT = `
const [path, question] = process.argv.slice(1);
const addon = require(path);
class Failure extends Error {
  constructor(message, argument) { super(message); this.argument = argument; }
}
class Memory extends Failure {}
addon.setErrorClasses([Failure, Failure, Failure, Failure, Failure, Memory, Failure]);
let answer;
try {
  answer = { value: question === 'report' ? JSON.parse(addon.cudaReport()) : addon.deviceName(question) };
} catch (error) {
  answer = { error: error.message, argument: error.argument, memory: error instanceof Memory };
}
require('node:fs').writeSync(1, '\\n' + JSON.stringify(answer) + '\\n');
process.exit(0);
`;

interface Answer {
  value?: unknown;
  error?: string;
  argument?: string;
  memory?: boolean;
}

/**
 * Asks the driver in a process of its own, so that one that crashes or hangs does neither here. Rejects with DeviceError
 * (or OutOfMemoryError), saying what is wrong and what to do.
 */
export async function askChild(question: DeviceId | 'report', patience = PATIENCE): Promise<unknown> {
  const { NODE_OPTIONS: _, ...environment } = process.env;
  const env = { ...environment, ELECTRON_RUN_AS_NODE: '1' };
  const subject = question === 'report' ? 'CUDA' : question;
  const answer = await new Promise<Answer>((resolve, reject) => {
    const options = { env, timeout: patience, killSignal: 'SIGKILL' as const, maxBuffer: 1 << 24, windowsHide: true };
    execFile(process.execPath, ['-e', SCRIPT, addonPath(), question], options, (error, stdout, stderr) => {
      const line = stdout.trimEnd().split('\n').at(-1) ?? '';
      if (line.startsWith('{')) return resolve(JSON.parse(line) as Answer);
      const told = stderr.trim() ? `. It printed: ${stderr.trim().slice(-500)}` : '';
      const remedy =
        "The NVIDIA driver or its installation is at fault: check that `nvidia-smi` works, install the driver anew, or use device 'cpu'";
      reject(
        new DeviceError(
          `device: ${subject} was tried in a process of its own, which ${end(error, patience)}. ${remedy}${told}`,
          'device',
          { cause: error },
        ),
      );
    });
  });
  if (answer.error === undefined) return answer.value;
  throw new (answer.memory ? OutOfMemoryError : DeviceError)(answer.error, answer.argument);
}

function end(error: Error | null, patience: number): string {
  if (error && 'killed' in error && error.killed) return `gave no answer within ${patience / 1000} s`;
  if (error && 'signal' in error && error.signal) return `ended by ${error.signal}`;
  if (error && 'code' in error && typeof error.code === 'number') return `ended with exit code ${error.code}`;
  return error ? `did not start (${error.message})` : 'gave no answer';
}
