import type { TaskDefaults } from './task.ts';

type Distill = TaskDefaults['distill'];

/** What `distill` does unless it is told otherwise: the method as the paper has it, in a task's numbers. */
export function distillDefaults({
  scale,
  temperature,
  steps,
  promptsPerStep,
  samplesPerPrompt,
  learningRate,
}: Pick<Distill, 'scale' | 'temperature' | 'steps' | 'promptsPerStep' | 'samplesPerPrompt' | 'learningRate'>): Distill {
  return {
    scale,
    temperature,
    divergence: 'reverse',
    jsdWeight: 0.5,
    rollouts: 'student',
    scoreFunction: false,
    beta: 0,
    steps,
    promptsPerStep,
    samplesPerPrompt,
    learningRate,
  };
}
