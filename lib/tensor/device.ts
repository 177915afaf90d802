import { existsSync } from 'node:fs';
import { CfgDistillError, DeviceError, OutOfMemoryError, ValueError } from '../errors.ts';
import { type DeviceId, native } from '../native.ts';
import { askChild } from './probe.ts';

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
  #timing = false;

  constructor(id: DeviceId) {
    this.id = id;
    this.name = native.deviceName(id);
  }

  get type(): 'cpu' | 'cuda' {
    return this.id === 'cpu' ? 'cpu' : 'cuda';
  }

  /**
   * Resolves when everything asked for so far has run; rejects with the first error that no `read()` reported, of what this
   * thread asked for: worker threads share devices, but not their errors.
   */
  synchronize(): Promise<void> {
    return native.synchronize(this.id);
  }

  /** What is in use now. With `resetPeak` the next peak counts from here. */
  memory({ resetPeak = false }: { resetPeak?: boolean } = {}): MemoryUse {
    return native.memory(this.id, resetPeak);
  }

  /**
   * Upper bound in bytes of what the allocator holds; null removes it. Beyond it operations throw OutOfMemoryError. At the
   * start it is what the environment variable CFGDISTILL_MEMORY_LIMIT says (bytes, or a number with K, M, G or T), for each device.
   */
  setMemoryLimit(bytes: number | null): void {
    native.setMemoryLimit(this.id, bytes);
  }

  /** Returns cached memory to the system. */
  trimMemory(): Promise<void> {
    return native.trimMemory(this.id);
  }

  /**
   * Whether matrix products of float32 may round their factors to TensorFloat-32, which keeps 10 of the 23 bits of the
   * mantissa, and are then several times as fast on a GPU. Off by default; holds for what is asked for afterwards; means
   * nothing on the CPU.
   */
  allowTf32(on: boolean): void {
    native.setOption(this.id, 'tf32', on);
  }

  /**
   * How long the device takes, in ms, for the operations that `body` asks for: from when it comes to the first of them
   * until the last is done. Other work of the queue does not count, and neither does the time to ask. `body` must be
   * synchronous and may not time anything itself; what fails in it is told by `read()` or `synchronize()` as ever.
   */
  async time(body: () => void): Promise<number> {
    if (this.#timing) throw new ValueError('body: expected one that times nothing itself', 'body');
    this.#timing = true;
    const started = native.startTimer(this.id);
    let stopped: Promise<number>;
    try {
      body();
    } finally {
      this.#timing = false;
      stopped = native.stopTimer(this.id);
      // One may reject while nobody waits for it yet, or any more.
      for (const promise of [started, stopped]) promise.catch(() => {});
    }
    await started;
    return stopped;
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

const probes = new Map<string, Promise<unknown>>();

/** Resolves when a child process has opened the device, or rejects with what went wrong there; asks once per process. */
async function probe(id: DeviceId): Promise<void> {
  if (native.cudaOpen(id)) return;
  const { path } = native.cudaLibrary();
  // Opening then fails here, without touching a driver, and says where the library was looked for.
  if (path === null) return;
  const key = `${path} ${id}`;
  let asked = probes.get(key);
  if (!asked) {
    asked = askChild(id);
    probes.set(key, asked);
    // Memory may be free another time.
    asked.catch((error: unknown) => error instanceof OutOfMemoryError && probes.delete(key));
  }
  await asked;
}

/** What exists where an NVIDIA GPU can be opened: a loaded kernel module, or the ways of WSL and of Jetson. */
const TRACES = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg', '/dev/nvhost-ctrl', '/dev/nvmap'];

/** Spares most machines without a GPU the child process; a backend that was asked for by name is always tried. */
const mayHaveGpu = (): boolean =>
  process.platform !== 'linux' || !!process.env.CFGDISTILL_CUDA_LIBRARY || TRACES.some((path) => existsSync(path));

/** The first GPU when the CUDA backend is there, has every operation and can open it; otherwise the CPU. */
async function best(): Promise<Device> {
  try {
    if (mayHaveGpu() && native.cudaLibrary().path !== null && native.cudaMissing() === 0) {
      await probe('cuda:0');
      return deviceOf('cuda:0');
    }
  } catch (error) {
    if (!(error instanceof CfgDistillError)) throw error;
  }
  return deviceOf('cpu');
}

/** Whether a text is the name of a device, there or not. */
export function isDeviceName(text: string): text is DeviceName {
  return /^(auto|cpu|cuda(:(0|[1-9]\d{0,2}))?)$/.test(text);
}

/**
 * Resolves a device name: 'cpu', 'cuda' (the first GPU), 'cuda:1' and so on, or 'auto' (the default): the first GPU when
 * the CUDA backend is built, has a kernel for every operation and can use it, otherwise the CPU. A GPU is first tried in a
 * child process, once, so that a broken driver cannot end or block this one. Rejects with DeviceError, saying what is
 * missing and what to do, when a device is not there; 'auto' always resolves. A Device is given back as it is.
 */
export async function device(name: DeviceName | Device = 'auto'): Promise<Device> {
  if (name instanceof Device) return name;
  if (name === 'cpu') return deviceOf('cpu');
  if (name === 'auto') return best();
  const id = name === 'cuda' ? 'cuda:0' : name;
  if (!isDeviceName(id)) {
    throw new DeviceError(`device: expected 'auto', 'cpu', 'cuda' or 'cuda:<index>', got '${name}'`, 'device');
  }
  if (!devices.has(id)) await probe(id);
  return deviceOf(id);
}
