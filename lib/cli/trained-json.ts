import type { Device } from '../tensor/device.ts';
import { dataJson } from './task-data.ts';
import type { CliTask } from './tasks/task.ts';

/** What every command that trains tells scripts. */
export function trainedJson({
  command,
  output,
  device,
  settings,
  task,
  trainer,
  seconds,
  last,
}: {
  command: string;
  output: string;
  device: Pick<Device, 'id'>;
  settings: object;
  task: CliTask;
  /** Its updates are the run's. */
  trainer: { readonly step: number };
  /** Of this run. */
  seconds: number;
  /** The last step's metrics; null when none was left to do. */
  last: object | null;
}): Record<string, unknown> {
  const { step } = trainer;
  return { command, output, device: device.id, settings, ...dataJson(task), step, seconds, metrics: last };
}
