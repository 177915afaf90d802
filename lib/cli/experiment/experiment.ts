import { isDeepStrictEqual } from 'node:util';
import { ValueError } from '../../errors.ts';
import { claimOutputFolder, type OutputMarker } from '../../files.ts';
import { DEFAULT_COMPUTE, type ModelPlacement } from '../placement.ts';
import type { Progress } from '../progress.ts';
import { Stages } from './stages.ts';

/** Where an experiment writes, where and how its models compute, and what stops it. */
export interface Experiment {
  readonly folder: string;
  readonly placement: ModelPlacement;
  readonly stages: Stages;
  readonly signal: AbortSignal;
}

export interface ExperimentOptions {
  /** A new folder, or that of an earlier run with the same settings. */
  output: string;
  placement: ModelPlacement;
  progress: Progress;
  log: (line: string) => void;
  signal: AbortSignal;
}

/**
 * Begins an experiment in a folder, or goes on with the one that is there: on any device, but with the same settings.
 *
 * @param settings plain data that decides what comes out; `kind` and `seed` among it
 * @throws ValueError for a folder that holds something else, or a run with other settings
 */
export async function openExperiment(
  { output, placement, progress, log, signal }: ExperimentOptions,
  settings: OutputMarker & { seed: number },
): Promise<Experiment> {
  const { compute } = placement;
  const marker = JSON.parse(JSON.stringify({ ...settings, compute })) as OutputMarker;
  const found = await claimOutputFolder(output, marker);
  // Runs of earlier versions do not tell what they computed in.
  const earlier = found && { compute: DEFAULT_COMPUTE, ...found };
  if (earlier && !isDeepStrictEqual(earlier, marker)) {
    const keys = [...new Set([...Object.keys(earlier), ...Object.keys(marker)])];
    const differs = keys.filter((key) => !isDeepStrictEqual((earlier as OutputMarker)[key], marker[key]));
    throw new ValueError(
      `output: ${output} holds a run with other settings (${differs.map((key) => `${key} ${short(earlier, key)}`).join(', ')}); ` +
        'give another --output, or remove it',
      'output',
    );
  }
  return { folder: output, placement, stages: new Stages(output, progress, log), signal };
}

/** A setting in a message: those that are tables are only named. */
function short(marker: OutputMarker, key: string): string {
  const value = marker[key];
  return typeof value === 'object' ? 'of another kind' : String(value);
}
