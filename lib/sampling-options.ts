import { DTypeError, ShapeError, ValueError } from './errors.ts';
import type { TokenAutomaton } from './token-automaton.ts';

/** How tokens are drawn from logits. */
export interface SamplingOptions {
  /** ≥ 0; 0 takes the likeliest token. Default 1. */
  temperature?: number;
  /** Only the k likeliest tokens. Default: off. */
  topK?: number;
  /** Only the likeliest tokens whose mass reaches p, in (0, 1]. Default: off. */
  topP?: number;
}

/** Classifier-free guidance: logits are negative + scale · (prompt − negative). */
export interface Guidance {
  /** γ: 0 gives the negative branch, 1 plain sampling, more than 1 guidance. One number, or one per prompt. */
  scale: number | Float32Array;
  /** The negative prompt (or the one that stands for "no prompt"), in tokens; or one per prompt. */
  negative: Int32Array | readonly Int32Array[];
}

/** Throws ValueError naming the first option that is out of its domain. */
export function checkSampling({ temperature = 1, topK, topP }: SamplingOptions): void {
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw new ValueError(`temperature: expected a number of at least 0, got ${temperature}`, 'temperature');
  }
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) {
    throw new ValueError(`topK: expected an integer of at least 1, got ${topK}`, 'topK');
  }
  if (topP !== undefined && !(topP > 0 && topP <= 1)) {
    throw new ValueError(`topP: expected a number in (0, 1], got ${topP}`, 'topP');
  }
}

/** The guidance scale of every prompt, checked. */
export function scalesOf(guidance: Guidance | undefined, prompts: number): Float32Array {
  const scale = guidance?.scale ?? 1;
  const scales = typeof scale === 'number' ? new Float32Array(prompts).fill(scale) : scale;
  if (!(scales instanceof Float32Array) || scales.length !== prompts) {
    const got = scales instanceof Float32Array ? `${scales.length}` : typeof scales;
    throw new ValueError(
      `guidance.scale: expected a number or a Float32Array of ${prompts} elements, got ${got}`,
      'guidance.scale',
    );
  }
  const at = scales.findIndex((s) => !Number.isFinite(s));
  if (at >= 0) {
    throw new ValueError(`guidance.scale: expected finite numbers, got ${scales[at]} at ${at}`, 'guidance.scale');
  }
  return scales;
}

/** The negative prompt of every prompt, checked. */
export function negativesOf({ negative }: Guidance, prompts: number): readonly Int32Array[] {
  if (negative instanceof Int32Array) return Array.from({ length: prompts }, () => negative);
  if (!Array.isArray(negative) || negative.length !== prompts) {
    throw new ValueError(
      `guidance.negative: expected an Int32Array of tokens, or an array of ${prompts} of them`,
      'guidance.negative',
    );
  }
  return negative;
}

/** The state that every prompt's generations begin in, checked; null without a constraint. */
export function startStatesOf(
  constraint: TokenAutomaton | undefined,
  startStates: Int32Array | undefined,
  prompts: number,
): Int32Array | null {
  if (!constraint) {
    if (startStates === undefined) return null;
    throw new ValueError('startStates: expected none without a constraint', 'startStates');
  }
  if (startStates === undefined) return new Int32Array(prompts).fill(constraint.start);
  if (!(startStates instanceof Int32Array)) {
    throw new DTypeError(`startStates: expected an Int32Array, got ${typeof startStates}`, 'startStates');
  }
  if (startStates.length !== prompts) {
    throw new ShapeError(`startStates: expected [prompts] = [${prompts}], got ${startStates.length}`, 'startStates');
  }
  for (const state of startStates) constraint.checkStart(state, 'startStates');
  return startStates.slice();
}
