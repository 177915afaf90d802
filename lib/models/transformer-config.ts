import { CheckpointError, ValueError } from '../errors.ts';
import type { Activation } from '../native.ts';
import type { ComputeType } from '../tensor/tensor.ts';

/** What every transformer has, whatever it reads. */
export interface BlocksConfig {
  /** Number of blocks. */
  depth: number;
  /** Width of the residual stream. */
  width: number;
  heads: number;
  /** Width of one head; default width / heads. heads · headWidth need not be the width. */
  headWidth: number;
  /** Inner width of the feed-forward network; default 4 · width. */
  feedForwardWidth: number;
  norm: 'layer' | 'rms';
  activation: Activation;
  /** Whether the feed-forward network is gated (GEGLU, SwiGLU). Default false. */
  gated: boolean;
  positions: 'learned' | 'sinusoidal' | 'rotary';
  /** Longest sequence, in tokens or patches. */
  maxPositions: number;
  /** Whether linear layers and layer norms have biases. Default true. */
  bias: boolean;
  /** Dropout probability while training, after the embedding and after each sublayer. Default 0. */
  dropout: number;
}

/** A transformer over tokens. */
export interface TransformerConfig extends BlocksConfig {
  /** Number of token ids. */
  vocabularySize: number;
}

/** What a caller must give; everything else has a default. */
export type BlocksOptions = Pick<BlocksConfig, 'depth' | 'width' | 'heads'> & Partial<BlocksConfig>;
export type TransformerOptions = BlocksOptions & Pick<TransformerConfig, 'vocabularySize'>;

const choices: { [K in 'norm' | 'activation' | 'positions']: readonly BlocksConfig[K][] } = {
  norm: ['layer', 'rms'],
  activation: ['gelu', 'gelu-tanh', 'silu'],
  positions: ['learned', 'sinusoidal', 'rotary'],
};

/** Fills in the defaults and checks every entry. Throws ValueError naming the first that is wrong. */
export function completeConfig<C extends TransformerConfig>(
  options: TransformerOptions,
  extra: Omit<C, keyof TransformerConfig>,
): C {
  expectPositive('vocabularySize', options.vocabularySize);
  return { ...completeBlocks(options), ...extra } as C;
}

/** The same for what does not depend on what is read; further entries stay as they are. */
export function completeBlocks<O extends BlocksOptions>(options: O): O & BlocksConfig {
  const { width, heads } = options;
  const config: O & BlocksConfig = {
    headWidth: width / heads,
    feedForwardWidth: 4 * width,
    norm: 'layer',
    activation: 'gelu',
    gated: false,
    positions: 'learned',
    maxPositions: 1024,
    bias: true,
    dropout: 0,
    ...options,
  };
  for (const key of ['depth', 'width', 'heads', 'headWidth', 'feedForwardWidth', 'maxPositions'] as const) {
    expectPositive(key, config[key]);
  }
  for (const key of ['norm', 'activation', 'positions'] as const) {
    if (!(choices[key] as readonly string[]).includes(config[key])) {
      throw new ValueError(
        `config.${key}: expected one of ${choices[key].join(', ')}, got '${config[key]}'`,
        `config.${key}`,
      );
    }
  }
  for (const key of ['gated', 'bias'] as const) expectBoolean(key, config[key]);
  if (!(config.dropout >= 0 && config.dropout < 1)) {
    throw new ValueError(`config.dropout: expected a number in [0, 1), got ${config.dropout}`, 'config.dropout');
  }
  if (config.positions === 'rotary' && config.headWidth % 2 !== 0) {
    throw new ValueError(
      `config.headWidth: rotary positions expect an even number, got ${config.headWidth}`,
      'config.headWidth',
    );
  }
  return config;
}

/** The type a model computes on. Throws ValueError for another than 'float32' and 'bfloat16'. */
export function checkedCompute<C extends ComputeType>(compute: C): C {
  if (compute === 'float32' || compute === 'bfloat16') return compute;
  throw new ValueError(`compute: expected 'float32' or 'bfloat16', got '${compute}'`, 'compute');
}

/** Throws ValueError unless this entry of a config is an integer of at least 1. */
export function expectPositive(key: string, value: unknown): void {
  if (Number.isInteger(value) && (value as number) >= 1) return;
  throw new ValueError(`config.${key}: expected an integer of at least 1, got ${value}`, `config.${key}`);
}

/** Throws ValueError unless this entry of a config is true or false. */
export function expectBoolean(key: string, value: unknown): void {
  if (typeof value === 'boolean') return;
  throw new ValueError(`config.${key}: expected true or false, got ${value}`, `config.${key}`);
}

/** The config that a checkpoint's metadata holds. Throws CheckpointError when there is none of this kind. */
export function configFromMetadata(metadata: Readonly<Record<string, string>>, kind: string, path: string): unknown {
  if (metadata.kind !== kind || metadata.config === undefined) {
    throw new CheckpointError(
      `${path}: expected a checkpoint of a ${kind}, got ${metadata.kind ? `one of a ${metadata.kind}` : 'one without a config in its metadata'}`,
      path,
    );
  }
  try {
    return JSON.parse(metadata.config);
  } catch (cause) {
    throw new CheckpointError(`${path}: the config in the metadata is not valid JSON`, path, { cause });
  }
}
