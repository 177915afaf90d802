import { describe, expect, it } from 'vitest';
import { ShapeError, ValueError } from '../../lib/errors.ts';
import { sampleGuided } from '../../lib/kernels/index.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';
import { chiSquareP } from '../support/chi-square.ts';
import { drawDistribution, guide } from '../support/guidance-reference.ts';
import { randomFloats } from '../support/random-data.ts';

interface Setup {
  rows: number;
  vocab: number;
  branches: 1 | 2;
  capacity: number;
  stopToken?: number;
  streams?: Int32Array;
}

const ints = (data: Int32Array) => Tensor.from(data, [data.length]);

/** The device state of a decoding, and one step of it on the given logits. */
function decoder({ rows, vocab, branches, capacity, stopToken, streams }: Setup) {
  const state = {
    logits: Tensor.from(new Float32Array(branches * rows * vocab), [branches * rows, vocab]),
    scales: Tensor.from(new Float32Array(rows).fill(2), [rows]),
    streams: ints(streams ?? Int32Array.from({ length: rows }, (_, r) => r)),
    position: ints(new Int32Array(1)),
    finished: ints(new Int32Array(rows)),
    unfinished: ints(Int32Array.of(rows)),
    next: ints(new Int32Array(branches * rows)),
    history: Tensor.from(new Int32Array(rows * capacity).fill(-7), [rows, capacity]),
    logProbs: Tensor.from(new Float32Array(rows * capacity), [rows, capacity]),
  };
  const step = (seed = 3, temperature = 1, topK?: number, topP?: number) =>
    native.decodeSample(
      state.logits.handle,
      state.scales.handle,
      state.streams.handle,
      temperature,
      topK,
      topP,
      seed,
      stopToken,
      state.position.handle,
      state.finished.handle,
      state.unfinished.handle,
      state.next.handle,
      state.history.handle,
      state.logProbs.handle,
    );
  return { ...state, step };
}

describe('decodeSample', () => {
  it.each([1, 2] as const)('draws at position 0 what sampleGuided draws (%i branches)', async (branches) => {
    const [rows, vocab] = [23, 41];
    const random = new Random(branches);
    const cond = randomFloats(random, rows * vocab, 3);
    const uncond = randomFloats(random, rows * vocab, 3);
    const streams = Int32Array.from({ length: rows }, (_, r) => 7 * r + 1);
    const d = decoder({ rows, vocab, branches, capacity: 2, streams });
    d.logits.write(branches === 2 ? Float32Array.of(...cond, ...uncond) : cond);
    d.step(99, 0.9, 20, 0.9);
    const drawn = sampleGuided(cond, branches === 2 ? uncond : null, {
      vocab,
      seed: 99,
      temperature: 0.9,
      topK: 20,
      topP: 0.9,
      offset: streams,
      ...(branches === 2 && { scale: 2 }),
    });
    const history = await d.history.read();
    expect(Array.from({ length: rows }, (_, r) => history[2 * r])).toEqual(Array.from(drawn.tokens));
    expect(history.filter((token) => token === -7)).toHaveLength(rows);
    const logProbs = await d.logProbs.read();
    expect(Float32Array.from({ length: rows }, (_, r) => logProbs[2 * r]!)).toEqual(drawn.logProbs);
    const next = await d.next.read();
    for (let b = 0; b < branches; b++) expect(next.subarray(b * rows, (b + 1) * rows)).toEqual(drawn.tokens);
  });

  it('draws every position anew from the exact distribution, whatever the batch', async () => {
    const [rows, vocab, steps] = [2000, 6, 5];
    const cond = randomFloats(new Random(1), vocab, 2);
    const uncond = randomFloats(new Random(2), vocab, 2);
    const d = decoder({ rows, vocab, branches: 2, capacity: steps });
    d.logits.write(
      Float32Array.from({ length: 2 * rows * vocab }, (_, i) => (i < rows * vocab ? cond : uncond)[i % vocab]!),
    );
    native.beginProgram();
    d.step(5, 0.8);
    const program = native.endProgram();
    for (let n = 0; n < steps; n++) native.replayProgram(program);
    const history = await d.history.read();
    native.disposeProgram(program);
    const exact = drawDistribution(guide(cond, uncond, 2), { temperature: 0.8 });
    const counts = new Array<number>(vocab).fill(0);
    const pairs = new Array<number>(vocab * vocab).fill(0);
    history.forEach((token, i) => {
      counts[token]!++;
      if (i % steps) pairs[history[i - 1]! * vocab + token]!++;
    });
    expect(chiSquareP(counts, exact)).toBeGreaterThan(1e-4);
    expect(
      chiSquareP(
        pairs,
        exact.flatMap((a) => exact.map((b) => a * b)),
      ),
    ).toBeGreaterThan(1e-4);

    const alone = decoder({ rows: 1, vocab, branches: 2, capacity: steps, streams: Int32Array.of(1234) });
    alone.logits.write(Float32Array.of(...cond, ...uncond));
    for (let n = 0; n < steps; n++) alone.step(5, 0.8);
    expect(await alone.history.read()).toEqual(history.subarray(1234 * steps, 1235 * steps));
  });

  it('stops a row at the stop token, keeps its slot, and counts what is left', async () => {
    const d = decoder({ rows: 3, vocab: 4, branches: 1, capacity: 4, stopToken: 2 });
    const rows = (...tokens: number[]) =>
      d.logits.write(Float32Array.from({ length: 12 }, (_, i) => (i % 4 === tokens[Math.floor(i / 4)] ? 5 : 0)));
    const left: number[] = [];
    for (const tokens of [
      [0, 1, 3],
      [2, 1, 0],
      [1, 2, 0],
      [1, 1, 2],
    ]) {
      rows(...tokens);
      d.step(1, 0);
      left.push((await d.unfinished.read())[0]!);
    }
    expect(left).toEqual([3, 2, 1, 0]);
    expect(Array.from(await d.history.read())).toEqual([0, 2, -1, -1, 1, 1, 2, -1, 3, 0, 0, 2]);
    expect(Array.from(await d.finished.read())).toEqual([1, 1, 1]);
    expect(Array.from(await d.next.read())).toEqual([2, 2, 2]);
    expect(Array.from(await d.position.read())).toEqual([4]);
    expect((await d.logProbs.read()).every((x) => x === 0)).toBe(true);
    d.step(1, 0);
    await expect(d.history.read()).rejects.toThrow(
      "position: expected a position in the history's capacity of 4, got 4",
    );
  });

  it('does not look at the logits of a finished row', async () => {
    const d = decoder({ rows: 2, vocab: 3, branches: 1, capacity: 3, stopToken: 0 });
    d.logits.write(Float32Array.of(9, 0, 0, 0, 9, 0));
    d.step(1, 0);
    d.logits.write(Float32Array.of(Number.NaN, 0, 0, 0, 9, 0));
    d.step(1, 0);
    expect(Array.from(await d.history.read())).toEqual([0, -1, -7, 1, 1, -7]);
  });

  it('refuses NaN, an empty row and a position outside the history', async () => {
    const make = () => decoder({ rows: 2, vocab: 3, branches: 2, capacity: 3 });
    const nan = make();
    nan.logits.write(Float32Array.from({ length: 12 }, (_, i) => (i === 10 ? Number.NaN : 0)));
    nan.step();
    await expect(nan.history.read()).rejects.toThrow('uncond: expected a finite logit or -Infinity at [1, 1], got NaN');
    await expect(nan.logProbs.read()).rejects.toThrow(ValueError);
    const empty = make();
    empty.logits.write(new Float32Array(12).fill(-Infinity));
    empty.step();
    await expect(empty.next.read()).rejects.toThrow('at least one token with finite logits in row 0, got none');
    const before = make();
    before.position.write(Int32Array.of(-1));
    before.step();
    await expect(before.history.read()).rejects.toThrow('got -1');
    const scale = make();
    scale.scales.write(Float32Array.of(1, Number.NaN));
    scale.step();
    await expect(scale.history.read()).rejects.toThrow('scale: expected a finite number in row 1, got NaN');
  });

  it('refuses shapes that do not fit, at once', () => {
    const d = decoder({ rows: 4, vocab: 3, branches: 1, capacity: 2 });
    const three = decoder({ rows: 3, vocab: 3, branches: 1, capacity: 2 });
    const call = (logits: Tensor, next: Tensor<'int32'>) =>
      native.decodeSample(
        logits.handle,
        d.scales.handle,
        d.streams.handle,
        1,
        undefined,
        undefined,
        1,
        undefined,
        d.position.handle,
        d.finished.handle,
        d.unfinished.handle,
        next.handle,
        d.history.handle,
        d.logProbs.handle,
      );
    expect(() => call(three.logits, d.next)).toThrow('logits: expected 4 or 8 rows, got [3, 3]');
    expect(() => call(d.logits, three.next)).toThrow('next: expected [4], got [3]');
    expect(() => call(Tensor.from(new Float32Array(0), [4, 0]), d.next)).toThrow(ShapeError);
    expect(() => d.step(1, -1)).toThrow(/^temperature: /);
    expect(() => d.step(1, 1, 0)).toThrow(/^topK: /);
    expect(() => d.step(1, 1, undefined, 2)).toThrow(/^topP: /);
  });
});
