import type { ExperimentSweeps } from '../experiment/generators.ts';

/** The strategies that tunes are judged under: there are hundreds of tokens to truncate, and generations are long. */
export const TUNE_SWEEPS: ExperimentSweeps = {
  base: { scales: [1.5, 2, 3, 4], temperatures: [0.7, 0.85], topKs: [8, 32], topPs: [0.8, 0.9] },
  trained: { temperatures: [0.85], topKs: [], topPs: [0.9] },
};
