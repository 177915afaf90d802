import { CheckpointError } from '../errors.ts';
import type { Checkpoint, TensorLocation } from '../models/safetensors/checkpoint.ts';
import { clipped, quotedList, shapeText } from '../models/safetensors/describe.ts';

/**
 * Checks that a checkpoint holds the same tensors as another, of the same shapes and types, and is a model of the same
 * config.
 *
 * @throws CheckpointError that names what differs
 */
export function checkSameTensors(first: Checkpoint, other: Checkpoint): void {
  const refuse = (expected: string, got: string): never => {
    throw new CheckpointError(`${other.path}: expected ${expected} like ${first.path}, got ${got}`, other.path);
  };
  const missing = namesOnlyIn(first, other);
  if (missing.length > 0) refuse(named(missing), `none${tie(missing, other, first)}`);
  for (const [name, own] of first.tensors) {
    const tensor = other.tensors.get(name) as TensorLocation;
    if (tensor.dtype === own.dtype && sameShape(tensor.shape, own.shape)) continue;
    refuse(`'${clipped(name)}' ${own.dtype} ${shapeText(own.shape)}`, `${tensor.dtype} ${shapeText(tensor.shape)}`);
  }
  // Shapes alone do not tell a model with 4 heads from one with 2.
  for (const key of ['kind', 'config']) {
    const [own, its] = [first.metadata[key], other.metadata[key]];
    if (own !== undefined && its !== undefined && own !== its) refuse(`the ${key} ${own}`, its);
  }
  const further = namesOnlyIn(other, first);
  if (further.length > 0) {
    const what = further.length === 1 ? 'a further one' : 'further ones';
    refuse('the same tensors', `${what}, ${listed(further)}${tie(further, first, other)}`);
  }
}

function namesOnlyIn(a: Checkpoint, b: Checkpoint): string[] {
  return [...a.tensors.keys()].filter((name) => !b.tensors.has(name)).sort();
}

/** Tied tensors are stored once, and some writers say so in the metadata: the name left out, and the one that is kept. */
function tie(names: readonly string[], without: Checkpoint, having: Checkpoint): string {
  const told = names.find((name) => without.tensors.has(without.metadata[name] ?? ''));
  if (told === undefined) return '';
  const kept = without.metadata[told] as string;
  return (
    `: there '${clipped(told)}' is tied to '${clipped(kept)}', as its metadata says, while ${having.path} stores both; ` +
    'store them in one way'
  );
}

function named(names: readonly string[]): string {
  return names.length === 1 ? `a tensor ${listed(names)}` : `tensors ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  return quotedList(names, (name) => `'${clipped(name)}'`);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}
