import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeTreeTunes } from '../support/tree-tunes.ts';
import { json, TINY_BASE, TINY_EMBEDDER } from './command.ts';

export const TUNES = ['--task', 'tunes', '--data', 'abc'];
export const FEW = ['--steps', '2', '--prompts-per-step', '2', '--samples-per-prompt', '2', '--max-tokens', '24'];
export const DISTILL = ['distill', '--data', 'abc', '--base', 'base.safetensors', ...FEW];
export const BOTH = ['--embedder', 'embedder.safetensors', '--embedder', 'audio.safetensors'];
export const JUDGED_BY = [
  ...['--data', 'abc', '--embedder', 'embedder.safetensors', '--independent', 'audio.safetensors'],
  ...['--adherence', 'adherence.safetensors'],
];
export const PLAIN = [
  ...['--scales', '3', '--temperatures', 'none', '--top-ks', 'none', '--top-ps', 'none'],
  ...['--trained-temperatures', 'none', '--trained-top-ks', 'none', '--trained-top-ps', 'none'],
  ...['--samples', '2', '--rounds', '0', '--max-tokens', '24'],
];

/** Trains a model of each kind, too little to be any good, on a folder of ABC of which one tune cannot be read. */
export async function trainTunes(folder: string) {
  writeTreeTunes(join(folder, 'abc'));
  writeFileSync(join(folder, 'abc', 'broken.abc'), 'X:1\nT:Nothing\nM:4/4\nL:1/8\nK:Q\nabcd|\n');
  // A learning rate that lets so small a model learn to write bars in so few steps.
  const learnt = ['--steps', '60', '--learning-rate', '0.01'];
  const base = await json(folder, 'train-base', ...TUNES, ...TINY_BASE, ...learnt);
  const embedder = await json(folder, 'train-embedder', ...TUNES, '--steps', '4', ...TINY_EMBEDDER);
  const sound = [...TUNES, '--kind', 'audio', '--steps', '2', ...TINY_EMBEDDER, '--output', 'audio.safetensors'];
  const audio = await json(folder, 'train-embedder', ...sound);
  const adherence = await json(folder, 'train-adherence', ...TUNES, '--steps', '4', ...TINY_EMBEDDER);
  const quality = await json(folder, ...DISTILL, '--output', 'quality.safetensors');
  const one = ['--embedder', 'embedder.safetensors', '--beta', '5', '--output', 'diverse.safetensors'];
  const diverse = await json(folder, ...DISTILL, ...one);
  const both = await json(folder, ...DISTILL, ...BOTH, '--beta', '5,3', '--output', 'both.safetensors');
  const ends = ['--quality', 'quality.safetensors', '--diverse', 'diverse.safetensors'];
  const merge = await json(folder, 'merge', ...ends, '--weights', '0.5');
  return { base, embedder, audio, adherence, quality, diverse, both, merge };
}

export type TunesTrained = Awaited<ReturnType<typeof trainTunes>>;
