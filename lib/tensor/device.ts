import { DeviceError } from '../errors.ts';
import { type DeviceId, native } from '../native.ts';

export type DeviceName = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** Bytes of device memory. */
export interface MemoryUse {
  /** In live tensors. */
  used: number;
  /** Held by the allocator, its cache included. */
  reserved: number;
  /** Highest `used` since the last reset. */
  peak: number;
}

/** Where tensors live and operations run, in the order in which they were asked for. */
export class Device {
  readonly id: DeviceId;
  /** Human-readable: the processor and the instruction set in use, or the GPU. */
  readonly name: string;

  constructor(id: DeviceId) {
    this.id = id;
    this.name = native.deviceName(id);
  }

  get type(): 'cpu' | 'cuda' {
    return this.id === 'cpu' ? 'cpu' : 'cuda';
  }

  /** Resolves when everything asked for so far has run; rejects with the first error that no `read()` reported. */
  synchronize(): Promise<void> {
    return native.synchronize(this.id);
  }

  /** What is in use now. With `resetPeak` the next peak counts from here. */
  memory({ resetPeak = false }: { resetPeak?: boolean } = {}): MemoryUse {
    return native.memory(this.id, resetPeak);
  }

  /** Upper bound in bytes of what the allocator holds; null removes it. Beyond it operations throw OutOfMemoryError. */
  setMemoryLimit(bytes: number | null): void {
    native.setMemoryLimit(this.id, bytes);
  }

  /** Returns cached memory to the system. */
  trimMemory(): Promise<void> {
    return native.trimMemory(this.id);
  }
}

const devices = new Map<DeviceId, Device>();

/** The device of a full name, made at its first use. */
export function deviceOf(id: DeviceId): Device {
  let device = devices.get(id);
  if (!device) {
    device = new Device(id);
    devices.set(id, device);
  }
  return device;
}

/** Whether a text is the name of a device, there or not. */
export function isDeviceName(text: string): text is DeviceName {
  return /^(auto|cpu|cuda(:(0|[1-9]\d{0,2}))?)$/.test(text);
}

/**
 * Resolves a device name: 'cpu', 'cuda' (the first GPU), 'cuda:1' and so on, or 'auto' (the default), which is the CPU as
 * long as only some operations have CUDA kernels. Rejects with DeviceError, saying what is missing, when a device is not
 * there. A Device is given back as it is.
 */
export async function device(name: DeviceName | Device = 'auto'): Promise<Device> {
  if (name instanceof Device) return name;
  if (name === 'cpu' || name === 'auto') return deviceOf('cpu');
  if (name === 'cuda') return deviceOf('cuda:0');
  if (!isDeviceName(name)) {
    throw new DeviceError(`device: expected 'auto', 'cpu', 'cuda' or 'cuda:<index>', got '${name}'`, 'device');
  }
  return deviceOf(name);
}
