import { ValueError } from '../errors.ts';

/**
 * Mean of a symmetric function over the pairs i < j of one prompt's samples: the unbiased estimate of its expectation
 * for two independent samples. With a distance it is the prompt's diversity.
 *
 * @param samples two or more
 * @throws ValueError for fewer than two samples
 */
export function meanPairwise<T>(samples: readonly T[], distance: (a: T, b: T) => number): number {
  if (samples.length < 2) {
    throw new ValueError(`samples: expected 2 or more to form a pair, got ${samples.length}`, 'samples');
  }
  let sum = 0;
  for (let i = 0; i < samples.length; i++) {
    for (let j = i + 1; j < samples.length; j++) sum += distance(samples[i]!, samples[j]!);
  }
  return sum / ((samples.length * (samples.length - 1)) / 2);
}
