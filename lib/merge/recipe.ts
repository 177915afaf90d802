import { ValueError } from '../errors.ts';
import { globMatcher } from './glob.ts';
import type { AverageLayer, MergeLayer, MergeMethod } from './types.ts';

/** How a tensor of an output comes from the inputs' tensors of its name. */
export type Mix =
  /** One of them, bit for bit. */
  | { kind: 'take'; input: number }
  /** (1 − weight) · first + weight · second. */
  | { kind: 'lerp'; weight: number }
  /** The same along the arc between the two, taken as vectors. */
  | { kind: 'slerp'; weight: number }
  /** Σ weights · inputs / Σ weights. */
  | { kind: 'average'; weights: readonly number[] };

/** The mixes of a tensor, one per output. */
export type Recipe = (tensor: string) => readonly Mix[];

const METHODS: readonly MergeMethod[] = ['lerp', 'slerp'];

/**
 * The recipe of interpolations, one output per weight.
 *
 * @param names all tensors: a rule that fits none is a mistake
 * @throws ValueError for rules that cannot be meant
 */
export function interpolationRecipe(
  {
    weights,
    method = 'lerp',
    layers = [],
  }: { weights: readonly number[]; method?: MergeMethod; layers?: readonly MergeLayer[] },
  names: Iterable<string>,
): Recipe {
  checkMethod('method', method);
  const rules = layers.map(({ pattern, weight, method: own = method }, i) => {
    checkMethod(`layers[${i}].method`, own);
    const mixes = weights.map((output) => {
      const given = typeof weight === 'function' ? weight(output) : (weight ?? output);
      if (!Number.isFinite(given)) {
        throw new ValueError(`layers[${i}].weight: expected a finite number, got ${given}`, 'layers');
      }
      return interpolation(given, own);
    });
    return { pattern, mixes };
  });
  return firstFitting(
    rules,
    weights.map((weight) => interpolation(weight, method)),
    names,
  );
}

/** The recipe of a weighted average: one output. */
export function averageRecipe(
  { count, weights, layers = [] }: { count: number; weights: readonly number[]; layers?: readonly AverageLayer[] },
  names: Iterable<string>,
): Recipe {
  const rules = layers.map(({ pattern, weights: own }, i) => {
    return { pattern, mixes: [average(own, count, `layers[${i}].weights`)] };
  });
  return firstFitting(rules, [average(weights, count, 'weights')], names);
}

/** What the rules make of each weight, for the record; nothing where there are none. */
export function layerRecord(layers: readonly MergeLayer[] | undefined, output: number): object {
  if (!layers || layers.length === 0) return {};
  const told = layers.map(({ pattern, weight, method }) => ({
    pattern,
    weight: typeof weight === 'function' ? weight(output) : (weight ?? output),
    ...(method && { method }),
  }));
  return { layers: told };
}

function interpolation(weight: number, method: MergeMethod): Mix {
  if (weight === 0 || weight === 1) return { kind: 'take', input: weight };
  return { kind: method, weight };
}

function average(weights: readonly number[], count: number, argument: string): Mix {
  if (weights.length !== count || !weights.every(Number.isFinite)) {
    throw new ValueError(
      `${argument}: expected ${count} finite numbers, got [${weights.join(', ')}]`,
      argument.split(/[[.]/)[0],
    );
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum === 0 || !Number.isFinite(sum)) {
    throw new ValueError(`${argument}: expected a finite sum other than 0, got ${sum}`, argument.split(/[[.]/)[0]);
  }
  const used = weights.flatMap((weight, i) => (weight === 0 ? [] : [i]));
  return used.length === 1 ? { kind: 'take', input: used[0] as number } : { kind: 'average', weights: [...weights] };
}

function firstFitting(
  rules: readonly { pattern: string; mixes: readonly Mix[] }[],
  otherwise: readonly Mix[],
  names: Iterable<string>,
): Recipe {
  const matchers = rules.map(({ pattern, mixes }, i) => {
    return { pattern, mixes, fits: globMatcher(pattern, `layers[${i}].pattern`), used: false };
  });
  const recipe = new Map<string, readonly Mix[]>();
  for (const name of names) {
    const fitting = matchers.filter(({ fits }) => fits(name));
    for (const rule of fitting) rule.used = true;
    recipe.set(name, fitting[0]?.mixes ?? otherwise);
  }
  const idle = matchers.findIndex(({ used }) => !used);
  if (idle >= 0) {
    const { pattern } = matchers[idle] as { pattern: string };
    throw new ValueError(
      `layers[${idle}].pattern: expected one that fits a tensor's name, ${JSON.stringify(pattern)} fits none`,
      'layers',
    );
  }
  return (tensor) => recipe.get(tensor) ?? otherwise;
}

function checkMethod(argument: string, method: unknown): void {
  if (METHODS.some((known) => known === method)) return;
  throw new ValueError(`${argument}: expected 'lerp' or 'slerp', got ${JSON.stringify(method)}`, 'method');
}
