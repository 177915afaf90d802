import { execFile } from 'node:child_process';
import { addonPath } from '../addon.ts';
import { DeviceError, OutOfMemoryError } from '../errors.ts';
import type { DeviceId } from '../native.ts';

/** How long a driver may take to open a device, in ms. */
const PATIENCE = 30_000;

/** What the addon is asked for: whether it loads, what the CUDA backend finds, or to open a device. */
export type Question = 'addon' | 'cuda' | DeviceId;

export interface AddonAnswer {
  isa: string;
  threads: number;
  cudaLibrary: { path: string | null; tried: string[] };
}

export interface CudaAnswer {
  /** CUDA versions: the newest the driver supports (null: no driver) and that of the backend. */
  driver: string | null;
  runtime: string | null;
  cublasLt: string | null;
  /** Why no device can be used. */
  problem: string | null;
  devices: {
    index: number;
    name: string | null;
    computeCapability?: string;
    /** Bytes. */
    memory?: number;
    freeMemory?: number | null;
  }[];
  /** How many of the CPU's operations the backend does not have. */
  missing: number;
}

type AnswerTo<Q extends Question> = Q extends 'addon' ? AddonAnswer : Q extends 'cuda' ? CudaAnswer : string;

/** The answer is a line of its own; a driver may print before and after it. */
const MARK = 'cfgdistill:';
const SCRIPT = `
const [path, question] = process.argv.slice(1);
class Failure extends Error {
  constructor(message, argument) { super(message); this.argument = argument; }
}
class Memory extends Failure {}
let answer;
try {
  const addon = require(path);
  addon.setErrorClasses([Failure, Failure, Failure, Failure, Failure, Memory, Failure]);
  const value =
    question === 'addon' ? { isa: addon.isa(), threads: addon.threads(), cudaLibrary: addon.cudaLibrary() }
    : question === 'cuda' ? { ...JSON.parse(addon.cudaReport()), missing: addon.cudaMissing() }
    : addon.deviceName(question);
  answer = { value };
} catch (error) {
  answer = { error: error.message, argument: error.argument, memory: error instanceof Memory };
}
require('node:fs').writeSync(1, '\\n${MARK}' + JSON.stringify(answer) + '\\n');
process.exit(0);
`;

interface Answer {
  value?: unknown;
  error?: string;
  argument?: string;
  memory?: boolean;
}

/**
 * Asks in a process of its own, so that a driver that crashes or hangs does neither here. Rejects with DeviceError (or
 * OutOfMemoryError), saying what is wrong and what to do.
 *
 * @param patience how long to wait for an answer, in ms
 * @param addon the file to load; by default the one that is loaded here, or would be
 */
export async function askChild<Q extends Question>(
  question: Q,
  patience = PATIENCE,
  addon = addonPath(),
): Promise<AnswerTo<Q>> {
  if (addon === null) throw new DeviceError('the native addon is missing: `cfgdistill doctor` says why');
  const { NODE_OPTIONS: _, ...environment } = process.env;
  // The executable may be Electron.
  const env = { ...environment, ELECTRON_RUN_AS_NODE: '1' };
  const options = { env, timeout: patience, killSignal: 'SIGKILL' as const, maxBuffer: 1 << 24, windowsHide: true };
  const answer = await new Promise<Answer>((resolve, reject) => {
    execFile(process.execPath, ['-e', SCRIPT, addon, question], options, (error, stdout, stderr) => {
      const told = answerIn(stdout);
      if (told) resolve(told);
      else reject(brokenOff(question, end(error, patience), stderr.trim(), error));
    });
  });
  if (answer.error === undefined) return answer.value as AnswerTo<Q>;
  throw new (answer.memory ? OutOfMemoryError : DeviceError)(answer.error, answer.argument);
}

/** What the child has said, if it came to that: one that is stopped may break off in the middle of a word. */
function answerIn(printed: string): Answer | null {
  const line = printed.split('\n').findLast((text) => text.startsWith(MARK));
  if (line === undefined) return null;
  try {
    return JSON.parse(line.slice(MARK.length)) as Answer;
  } catch {
    return null;
  }
}

function brokenOff(question: Question, how: string, printed: string, cause: unknown): DeviceError {
  const tried = `was tried in a process of its own, which ${how}`;
  const told = printed ? `. It printed: ${printed.slice(-500)}` : '';
  if (question === 'addon') {
    return new DeviceError(
      `the native addon ${tried}. Compile it anew on this machine: \`npm rebuild cfgdistill --build-from-source\` (in a ` +
        `checkout: \`npx node-gyp rebuild\`)${told}`,
      undefined,
      { cause },
    );
  }
  return new DeviceError(
    `device: ${question === 'cuda' ? 'CUDA' : question} ${tried}. The NVIDIA driver or its installation is at fault: check ` +
      `that \`nvidia-smi\` works, install the driver anew, or use device 'cpu'${told}`,
    'device',
    { cause },
  );
}

function end(error: Error | null, patience: number): string {
  if (error && 'killed' in error && error.killed) return `gave no answer within ${patience / 1000} s`;
  if (error && 'signal' in error && error.signal) return `ended by ${error.signal}`;
  if (error && 'code' in error && typeof error.code === 'number') return `ended with exit code ${error.code}`;
  return error ? `did not start (${error.message})` : 'gave no answer';
}
