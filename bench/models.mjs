// The models that training and sampling are measured on.

import { TransformerLM } from './cfgdistill.mjs';
import { CHORD_RECIPE, ChordTask } from './internals.mjs';

const chords = new ChordTask({ seed: 1 });
const { base, distill } = CHORD_RECIPE;

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {object} config of the TransformerLM
 * @property {number} promptTokens
 * @property {number} answerTokens
 * @property {number} trainingRows sequences per step of base training
 * @property {{ promptsPerStep: number, samplesPerPrompt: number }} distill generations per step of distillation
 */

/** @type {readonly Subject[]} */
export const SUBJECTS = [
  {
    name: "demo's model (chords)",
    config: { vocabularySize: chords.vocabularySize, depth: base.depth, width: base.width, heads: base.heads },
    promptTokens: chords.noPrompt.length,
    answerTokens: chords.maxTokens,
    trainingRows: base.batchSize,
    distill: { promptsPerStep: distill.promptsPerStep, samplesPerPrompt: distill.samplesPerPrompt },
  },
  ...[128, 256].map((width) => ({
    name: `4 layers, d = ${width}`,
    config: { vocabularySize: 512, depth: 4, width, heads: width / 32 },
    promptTokens: 4,
    answerTokens: 60,
    trainingRows: 64,
    distill: { promptsPerStep: 16, samplesPerPrompt: 4 },
  })),
].map((subject) => ({
  ...subject,
  config: { ...subject.config, maxPositions: subject.promptTokens + subject.answerTokens },
}));

export function makeModel({ config }) {
  return new TransformerLM(config, { seed: 1 });
}

/** The prompt that stands for none. */
export function noPrompt({ promptTokens }) {
  return new Int32Array(promptTokens);
}

/**
 * Multiply-adds × 2 of a forward pass per position in a row of `positions`: the weight matrices, and half of each
 * attention matrix, which is all that a causal mask leaves.
 */
export function forwardFlops({ config: { vocabularySize, depth, width } }, positions) {
  const weights = depth * (4 * width * width + 2 * 4 * width * width) + vocabularySize * width;
  return 2 * weights + depth * 2 * width * positions;
}
