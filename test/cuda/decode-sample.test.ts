import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DType } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { type Device, device } from '../../lib/tensor/device.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, ORDERS, setOrder, useEmulatedDevice } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

let cpu: Device;
let cuda: Device;
beforeAll(async () => {
  useEmulatedDevice();
  [cpu, cuda] = await Promise.all([device('cpu'), device('cuda')]);
}, BUILD_TIMEOUT);
afterEach(() => setOrder('forward'));

const ROWS = 5;
const VOCAB = 11;
const CAPACITY = 6;
const STOP = 8;

/** What a generation keeps on a device. */
function startGeneration(on: Device, branches: number, dtype: DType = 'float32') {
  const logits = randomFloats(new Random(branches), branches * ROWS * VOCAB, 1);
  return {
    logits: { handle: placed(on, logits, [branches * ROWS, VOCAB], { dtype }) },
    scales: Tensor.from(Float32Array.of(0, 1, 2, 3, -1), [ROWS], on),
    streams: Tensor.from(Int32Array.of(4, 0, 7, -1, 2 ** 31 - 1), [ROWS], on),
    position: Tensor.from(Int32Array.of(0), [1], on),
    finished: Tensor.from(new Int32Array(ROWS), [ROWS], on),
    unfinished: Tensor.from(Int32Array.of(ROWS), [1], on),
    next: Tensor.from(new Int32Array(branches * ROWS).fill(-7), [branches * ROWS], on),
    history: Tensor.from(new Int32Array(ROWS * CAPACITY).fill(-9), [ROWS, CAPACITY], on),
    logProbs: Tensor.from(new Float32Array(ROWS * CAPACITY).fill(9), [ROWS, CAPACITY], on),
  };
}

function step(g: ReturnType<typeof startGeneration>, stopToken?: number): void {
  native.decodeSample(
    g.logits.handle,
    g.scales.handle,
    g.streams.handle,
    1,
    undefined,
    0.95,
    11,
    stopToken,
    g.position.handle,
    g.finished.handle,
    g.unfinished.handle,
    g.next.handle,
    g.history.handle,
    g.logProbs.handle,
  );
}

async function stateOf(g: ReturnType<typeof startGeneration>) {
  const { position, finished, unfinished, next, history, logProbs } = g;
  const integers: number[][] = [];
  for (const tensor of [position, finished, unfinished, next, history]) integers.push([...(await tensor.read())]);
  return { integers, logProbs: [...(await logProbs.read())] };
}

describe('decoding on the emulated CUDA device', () => {
  it.each([
    [1, 'float32'],
    [2, 'float32'],
    [1, 'bfloat16'],
    [2, 'bfloat16'],
  ] as const)('keeps the same books as the CPU, %i branches of %s', async (branches, dtype) => {
    const generations = [cpu, cuda].map((on) => startGeneration(on, branches, dtype));
    let stopped = false;
    for (let i = 0; i < CAPACITY; i++) {
      for (const g of generations) step(g, STOP);
      const [expected, actual] = [await stateOf(generations[0]!), await stateOf(generations[1]!)];
      expect(actual.integers).toEqual(expected.integers);
      for (const [k, value] of expected.logProbs.entries()) expect(actual.logProbs[k]).toBeCloseTo(value, 5);
      stopped ||= expected.integers[1]!.includes(1);
    }
    expect(stopped).toBe(true); // some row met the stop token, or this test shows less than it says
  });

  it('is replayed as a program, in any order of the threads', async () => {
    const direct = startGeneration(cuda, 2);
    for (let i = 0; i < CAPACITY; i++) step(direct, STOP);
    const expected = await stateOf(direct);
    for (const order of ORDERS) {
      setOrder(order);
      const replayed = startGeneration(cuda, 2);
      native.beginProgram();
      step(replayed, STOP);
      const program = native.endProgram();
      for (let i = 0; i < CAPACITY; i++) native.replayProgram(program);
      expect(await stateOf(replayed)).toEqual(expected);
      native.disposeProgram(program);
    }
  });

  it('rejects a step beyond the capacity as the CPU does', async () => {
    const messages = [];
    for (const on of [cpu, cuda]) {
      for (const start of [CAPACITY, -3]) {
        const g = startGeneration(on, 2);
        g.position.write(Int32Array.of(start));
        step(g);
        messages.push(await g.history.read().then(String, (error: Error) => error.message));
      }
    }
    expect(messages[0]).toMatch(/^position: expected .*6, got 6$/);
    expect(messages[1]).toMatch(/^position: expected .*6, got -3$/);
    expect(messages.slice(2)).toEqual(messages.slice(0, 2));
  });
});
