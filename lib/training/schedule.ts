import { ValueError } from '../errors.ts';

/** How the learning rate changes over the steps. */
export interface ScheduleOptions {
  /** Highest learning rate. */
  learningRate: number;
  /** Steps of linear rise from 0. Default 0. */
  warmupSteps?: number;
  /** What follows: 'constant' (default), or a fall to finalShare · learningRate at `totalSteps`. */
  decay?: 'constant' | 'linear' | 'cosine';
  /** The step at which the fall ends; required for 'linear' and 'cosine'. */
  totalSteps?: number;
  /** Share of the learning rate that is left at the end. Default 0. */
  finalShare?: number;
}

/** The learning rate of update `step`, counted from 1. */
export function learningRateAt(step: number, options: ScheduleOptions): number {
  const { learningRate, warmupSteps = 0, decay = 'constant', totalSteps = 0, finalShare = 0 } = options;
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
  if (decay === 'constant') return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  const left = decay === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return learningRate * (finalShare + (1 - finalShare) * left);
}

/** Throws ValueError naming the first option that is out of range. */
export function checkSchedule(options: ScheduleOptions): void {
  const { learningRate, warmupSteps = 0, decay = 'constant', totalSteps, finalShare = 0 } = options;
  const refuse = (name: string, expected: string, got: unknown): never => {
    throw new ValueError(`optimizer.${name}: expected ${expected}, got ${got}`, `optimizer.${name}`);
  };
  if (!(learningRate > 0 && Number.isFinite(learningRate))) refuse('learningRate', 'a positive number', learningRate);
  if (!(Number.isInteger(warmupSteps) && warmupSteps >= 0))
    refuse('warmupSteps', 'an integer of at least 0', warmupSteps);
  if (!['constant', 'linear', 'cosine'].includes(decay)) refuse('decay', "'constant', 'linear' or 'cosine'", decay);
  if (!(finalShare >= 0 && finalShare <= 1)) refuse('finalShare', 'a number in [0, 1]', finalShare);
  if (decay !== 'constant' && !(Number.isInteger(totalSteps) && (totalSteps as number) > warmupSteps)) {
    refuse('totalSteps', `an integer above warmupSteps for decay '${decay}'`, totalSteps);
  }
}
