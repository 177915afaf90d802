import { createHash } from 'node:crypto';

/** The share of clusters that are held out. */
export const VALIDATION_SHARE = 0.1;

/**
 * What tunes have in common that are versions of one another: their title without case, accents, punctuation and
 * articles, so that `The Kesh` and `Kesh, The` are one. '' where nothing is left.
 */
export function titleCluster(title: string): string {
  return title
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}|['’]/gu, '')
    .replace(/^\s*(?:the|an?)\s+|,\s*(?:the|an?)\s*$/gu, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/**
 * The part that a cluster belongs to: validation for a tenth of them, by the first 32 bits of the SHA-256 of its UTF-8.
 * It depends on nothing else, so a tune stays where it is when others come or go.
 */
export function splitOf(cluster: string): 'train' | 'validation' {
  const hash = createHash('sha256').update(cluster, 'utf8').digest().readUInt32BE(0);
  return hash < VALIDATION_SHARE * 2 ** 32 ? 'validation' : 'train';
}
