// Every operation, with the inputs that it is checked on.
import { attention } from './cases/attention.mjs';
import { elementwise } from './cases/elementwise.mjs';
import { layers } from './cases/layers.mjs';
import { losses } from './cases/losses.mjs';
import { matmul } from './cases/matmul.mjs';
import { mergeAndOptimizer } from './cases/merge-and-optimizer.mjs';
import { sampling } from './cases/sampling.mjs';

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {Record<string, import('./inputs.mjs').Input>} inputs
 * @property {(tensors: Record<string, object>, dtype: string) => readonly object[]} run calls the operations on native
 *   tensors; what it returns is compared
 * @property {readonly string[]} [dtypes] element types, default float32 and bfloat16
 * @property {number} [tolerance] for float32, default 2e-6
 * @property {number} [bfloat16Tolerance] default 1/128, one unit in the last place of a bfloat16
 * @property {boolean} [drawn] integers are random draws: a few may differ by rounding
 */

/**
 * @typedef {(at: <V>(large: V, small: V) => V) => readonly Case[]} Cases `at` picks the size: large ones fill a GPU
 *   with blocks, small ones suit a slow device
 */

/** @returns {readonly Case[]} */
export function casesOf(small) {
  const at = (large, little) => (small ? little : large);
  return [elementwise, matmul, attention, layers, losses, mergeAndOptimizer, sampling].flatMap((make) => make(at));
}
