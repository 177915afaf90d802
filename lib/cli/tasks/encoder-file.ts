import { CheckpointError } from '../../errors.ts';
import { SequenceEncoder } from '../../models/sequence-encoder.ts';
import type { ModelPlacement } from '../placement.ts';

/** Loads an encoder of a task's answers. Rejects with CheckpointError when it does not fit. */
export async function loadSymbolicEncoder(
  path: string,
  { name, tokens, positions }: { name: string; tokens: number; positions: number },
  placement: ModelPlacement,
): Promise<SequenceEncoder> {
  const encoder = await SequenceEncoder.load(path, placement);
  if (encoder.vocabularySize === tokens && encoder.config.maxPositions >= positions) return encoder;
  const { vocabularySize, config } = encoder;
  encoder.dispose();
  throw new CheckpointError(
    `${path}: task '${name}' expects an encoder of ${tokens} tokens and at least ${positions} positions, ` +
      `got ${vocabularySize} and ${config.maxPositions}`,
    path,
  );
}
