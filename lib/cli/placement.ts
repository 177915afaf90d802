import type { Option } from 'commander';
import type { Placement } from '../models/transformer-lm.ts';
import { type Device, type DeviceName, device, isDeviceName } from '../tensor/device.ts';
import type { ComputeType } from '../tensor/tensor.ts';
import { oneOf, option, type Parser } from './options.ts';

/** Where a command's models are, and what they compute in. */
export type ModelPlacement = Required<Placement>;

/** The options of every command that runs models. */
export interface PlacementFlags {
  device?: DeviceName;
  compute?: ComputeType;
}

export const DEFAULT_COMPUTE: ComputeType = 'float32';
const COMPUTE_TYPES = ['float32', 'bfloat16'] as const satisfies readonly ComputeType[];

const deviceName: Parser<DeviceName> = {
  expected: 'auto, cpu, cuda or cuda:<n>',
  parse: (given) => (isDeviceName(given) ? given : undefined),
};

/** The options' definitions. */
export function placementOptions(): Option[] {
  return [
    option(
      '--device <name>',
      `where models run: ${deviceName.expected} (default: cpu; these models are too small to gain from a GPU)`,
      deviceName,
    ),
    option(
      '--compute <type>',
      `what flows between the layers of models: ${COMPUTE_TYPES.join(', ')} (default: ${DEFAULT_COMPUTE}; bfloat16 is ` +
        'for GPUs, weights stay float32)',
      oneOf(COMPUTE_TYPES),
    ),
  ];
}

/** The device that a command was told. Rejects with DeviceError, saying what is missing, when it is not there. */
export function deviceOption({ device: name = 'cpu' }: PlacementFlags): Promise<Device> {
  return device(name);
}

/** Where a command that has no settings to remember puts its models. Rejects as `deviceOption` does. */
export async function placementOf(flags: PlacementFlags): Promise<ModelPlacement> {
  return { device: await deviceOption(flags), compute: flags.compute ?? DEFAULT_COMPUTE };
}

/** A placement for scripts. */
export function placementJson({ device: { id }, compute }: ModelPlacement): { device: string; compute: ComputeType } {
  return { device: id, compute };
}
