import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addonPath } from '../../lib/addon.ts';
import type { NativeTensor } from '../../lib/native.ts';
import { native } from '../../lib/native.ts';
import { Random } from '../../lib/random.ts';
import type { Device } from '../../lib/tensor/device.ts';
import { bothDevices, expectAgreement, placed } from '../support/both-devices.ts';
import { BUILD_TIMEOUT, buildEmulation } from '../support/emulated-device.ts';
import { randomFloats } from '../support/random-data.ts';

const [FLOAT32, BFLOAT16] = [0, 14]; // cudaDataType_t
const [COMPUTE_32F, COMPUTE_32F_FAST_TF32] = [68, 77]; // cublasComputeType_t
const [EPILOGUE_DEFAULT, EPILOGUE_BIAS] = [1, 4]; // cublasLtEpilogue_t
const WORKSPACE = 32 << 20;

type LayoutOf = [type: number, rows: number, columns: number, step: number];
interface MatmulCall {
  call: 'matmul';
  compute: number;
  transA: number;
  transB: number;
  epilogue: number;
  biasType: number;
  a: LayoutOf;
  b: LayoutOf;
  c: LayoutOf;
  d: LayoutOf;
  alpha: number;
  beta: number;
  inPlace: boolean;
  workspace: number;
  aligned: boolean;
}
interface HeuristicCall {
  call: 'heuristic';
  workspace: number;
  schemes: number;
  alignments: number[];
}

let devices: { cpu: Device; cuda: Device };
let stub: string;
const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-cublaslt-'));
const log = join(folder, 'calls');
beforeAll(async () => {
  stub = buildEmulation('--library', 'test/cuda/programs/cublaslt_stub.cpp');
  process.env.CFGDISTILL_CUBLASLT_LIBRARY = stub;
  process.env.CFGDISTILL_CUBLASLT_STUB_LOG = log;
  devices = await bothDevices();
}, BUILD_TIMEOUT);
beforeEach(() => rmSync(log, { force: true }));
afterEach(() => {
  delete process.env.CFGDISTILL_CUBLASLT_STUB;
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the library was asked for since the test began. */
function calls(): { products: MatmulCall[]; heuristics: HeuristicCall[] } {
  const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  const all = lines.map((line) => JSON.parse(line) as MatmulCall | HeuristicCall);
  return {
    products: all.filter((call) => call.call === 'matmul'),
    heuristics: all.filter((call) => call.call === 'heuristic'),
  };
}

interface Product {
  dtype?: 'float32' | 'bfloat16';
  transposeA?: boolean;
  transposeB?: boolean;
  bias?: boolean;
  into?: boolean;
  floatOut?: boolean;
  /** How far they begin from an aligned address, in elements. */
  skew?: { a?: number; b?: number; bias?: number; into?: number };
}
type Size = readonly [m: number, n: number, k: number];

function product([m, n, k]: Size, options: Product = {}): (on: Device) => [NativeTensor] {
  const { dtype = 'float32', transposeA = false, transposeB = false, floatOut = false } = options;
  const skew = { a: 0, b: 0, bias: 0, into: 0, ...options.skew };
  const random = new Random(m * 1009 + n * 13 + k);
  const draw = (count: number) => randomFloats(random, count);
  const [a, b, bias, into] = [draw(m * k), draw(k * n), draw(n), draw(m * n)];
  return (on) => {
    const left = placed(on, a, transposeA ? [k, m] : [m, k], { dtype, skew: skew.a });
    const right = placed(on, b, transposeB ? [n, k] : [k, n], { dtype, skew: skew.b });
    const added = options.bias ? placed(on, bias, [n], { skew: skew.bias }) : null;
    const target = options.into
      ? placed(on, into, [m, n], { dtype: floatOut ? 'float32' : dtype, skew: skew.into })
      : null;
    return [native.matmul(left, right, transposeA, transposeB, added, target, floatOut)];
  };
}

// A bfloat16 bias is rounded, and so is the result.
const agree = (size: Size, options: Product = {}) =>
  expectAgreement(product(size, options), devices, options.dtype === 'bfloat16' && !options.floatOut ? 2 ** -7 : 1e-6);
const onCuda = async (size: Size, options: Product = {}) => product(size, options)(devices.cuda)[0].read();

const LAYOUTS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;
const KINDS: Product[] = [{}, { dtype: 'bfloat16' }, { dtype: 'bfloat16', floatOut: true }];
const [M, N, K] = [8, 24, 16];

describe('products by cuBLASLt (a stub of it)', () => {
  it.each(KINDS)('are those of the CPU, %o', async (kind) => {
    for (const size of [
      [5, 7, 3],
      [M, N, K],
      [33, 20, 65],
    ] as Size[])
      for (const [transposeA, transposeB] of LAYOUTS)
        for (const [bias, into] of LAYOUTS) await agree(size, { ...kind, transposeA, transposeB, bias, into });
    const { products, heuristics } = calls();
    expect(products).toHaveLength(3 * 4 * 4 * 3); // in three orders of threads
    expect(heuristics).toHaveLength(3 * 4 * 4);
  });

  it.each(LAYOUTS)('are asked for with the operands in turn, by columns, transposed %s and %s', async (ta, tb) => {
    await onCuda([M, N, K], { transposeA: ta, transposeB: tb });
    const [call] = calls().products;
    expect(call).toMatchObject({
      compute: COMPUTE_32F,
      transA: Number(tb),
      transB: Number(ta),
      epilogue: EPILOGUE_DEFAULT,
      a: tb ? [FLOAT32, K, N, K] : [FLOAT32, N, K, N],
      b: ta ? [FLOAT32, M, K, M] : [FLOAT32, K, M, K],
      c: [FLOAT32, N, M, N],
      d: [FLOAT32, N, M, N],
      alpha: 1,
      beta: 0,
      inPlace: true,
      workspace: WORKSPACE,
      aligned: true,
    });
  });

  it('have their types, and add what is there by beta', async () => {
    await onCuda([M, N, K], { dtype: 'bfloat16' });
    await onCuda([M, N, K], { dtype: 'bfloat16', floatOut: true, into: true });
    expect(
      calls().products.map(({ compute, a, b, c, d, beta }) => ({ compute, types: [a, b, c, d].map(([t]) => t), beta })),
    ).toEqual([
      { compute: COMPUTE_32F, types: [BFLOAT16, BFLOAT16, BFLOAT16, BFLOAT16], beta: 0 },
      { compute: COMPUTE_32F, types: [BFLOAT16, BFLOAT16, FLOAT32, FLOAT32], beta: 1 },
    ]);
  });

  it('add the bias in the epilogue, in the type of the result', async () => {
    for (const kind of KINDS) await onCuda([M, N, K], { ...kind, bias: true });
    expect(calls().products).toMatchObject([
      { epilogue: EPILOGUE_BIAS, biasType: FLOAT32 },
      { epilogue: EPILOGUE_BIAS, biasType: BFLOAT16 },
      { epilogue: EPILOGUE_BIAS, biasType: FLOAT32 },
    ]);
  });

  it('round factors to TF32 only where that was asked for, and only those of float32', async () => {
    try {
      native.setOption('cuda:0', 'tf32', true);
      await onCuda([M, N, K]);
      await onCuda([M, N, K], { dtype: 'bfloat16' });
    } finally {
      native.setOption('cuda:0', 'tf32', false);
    }
    await onCuda([M, N, K]);
    expect(calls().products.map(({ compute }) => compute)).toEqual([COMPUTE_32F_FAST_TF32, COMPUTE_32F, COMPUTE_32F]);
  });

  it('have an algorithm chosen once for a shape and an alignment, with nothing that sums in a varying order', async () => {
    const size = [6, 28, 12] as const;
    for (let i = 0; i < 3; i++) await onCuda(size);
    expect(calls().heuristics).toEqual([
      { call: 'heuristic', workspace: WORKSPACE, schemes: 2, alignments: [16, 16, 16, 16] },
    ]);
    await onCuda(size, { skew: { a: 1 } });
    await onCuda(size, { skew: { b: 2 }, into: true });
    await agree(size, { skew: { into: 3 }, into: true });
    expect(calls().heuristics.map(({ alignments }) => alignments)).toEqual([
      [16, 16, 16, 16],
      [16, 4, 16, 16],
      [8, 16, 16, 16],
      [16, 16, 4, 4],
    ]);
    expect(calls().products.every(({ aligned }) => aligned)).toBe(true);
    expect(calls().products).toHaveLength(3 + 2 + 3);
  });

  it.each([
    ['no-algorithm', 40, 0],
    ['unsupported', 41, 0],
    ['large-workspace', 42, 0],
    ['refuse', 43, 1],
  ])('come from our own kernels where the library does not deliver: %s', async (fault, m, tries) => {
    process.env.CFGDISTILL_CUBLASLT_STUB = fault;
    for (const kind of KINDS) {
      rmSync(log, { force: true });
      await agree([m, 24, 16], { ...kind, bias: true, into: true });
      expect(calls().products).toHaveLength(tries);
      expect(calls().heuristics).toHaveLength(1); // nor is it asked again
    }
  });

  it('come from our own kernels without a sum, with a bias at an odd address, or with very few rows', async () => {
    await agree([M, N, 0], { bias: true });
    await agree([M, N, K], { bias: true, skew: { bias: 1 } });
    await agree([2, N, K], {});
    expect(calls()).toEqual({ products: [], heuristics: [] });
    await agree([M, N, K], { bias: true, dtype: 'bfloat16', skew: { bias: 1 } }); // which is converted anyway
    expect(calls().products).toHaveLength(3);
  });

  it('run in their turn, also in a recorded program', async () => {
    const on = devices.cuda;
    const a = placed(on, new Float32Array(25).fill(1), [5, 5]);
    const zero = placed(on, new Float32Array(25), [5, 5]);
    const sum = placed(on, new Float32Array(25), [5, 5]);
    native.beginProgram();
    const twice = native.guidedLogits(a, zero, 2);
    const squared = native.matmul(twice, twice, false, false, null, null);
    native.matmul(squared, a, false, false, null, sum);
    const program = native.endProgram();
    for (let i = 0; i < 3; i++) native.replayProgram(program);
    expect(await sum.read()).toEqual(new Float32Array(25).fill(3 * 20 * 5));
    native.disposeProgram(program);
    expect(calls().products.length).toBeGreaterThan(0);
  });

  it('are poisoned by a failure before them', async () => {
    const on = devices.cuda;
    const good = placed(on, new Float32Array(25), [5, 5]);
    const bad = placed(on, new Float32Array(25).fill(Number.NaN), [5, 5]);
    native.guidedLogits(bad, good, 1);
    const after = native.matmul(good, good, false, false, null, null);
    await expect(after.read()).rejects.toThrow('got NaN');
    await on.synchronize();
    expect(await native.matmul(good, good, false, false, null, null).read()).toEqual(new Float32Array(25));
  });
});

describe('the cuBLASLt library', () => {
  /** What a fresh process finds: the report's entry, and how opening the device goes. */
  function found(library: string | undefined, path?: string): { cublasLt: string | null; opened: string } {
    const { CFGDISTILL_CUBLASLT_LIBRARY: _, LD_LIBRARY_PATH: __, ...env } = process.env;
    const script = `
      const addon = require(${JSON.stringify(addonPath())});
      let opened = 'opened';
      try { addon.deviceName('cuda:0'); } catch (error) { opened = error.message; }
      console.log(JSON.stringify({ cublasLt: JSON.parse(addon.cudaReport()).cublasLt, opened }));
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      env: {
        ...env,
        ...(library === undefined ? {} : { CFGDISTILL_CUBLASLT_LIBRARY: library }),
        ...(path === undefined ? {} : { LD_LIBRARY_PATH: path }),
      },
      encoding: 'utf8',
    });
    if (!stdout) throw new Error(stderr);
    return JSON.parse(stdout) as { cublasLt: string | null; opened: string };
  }

  it('is the one that CFGDISTILL_CUBLASLT_LIBRARY names, or none', () => {
    expect(found(stub)).toEqual({ cublasLt: `13.0.2 (${stub})`, opened: 'opened' });
    expect(found('none')).toEqual({ cublasLt: null, opened: 'opened' });
  });

  it('is missed only where it was asked for by name', () => {
    for (const [name, problem] of [
      ['/no/such/library.so', /no such file/i],
      ['libm.so.6', /libm\.so\.6: not a cuBLASLt library/],
    ] as const) {
      const { cublasLt, opened } = found(name);
      expect(cublasLt).toMatch(/^not usable: /);
      expect(opened).toMatch(/^CFGDISTILL_CUBLASLT_LIBRARY: expected the file of a cuBLASLt library/);
      expect(opened).toMatch(problem);
    }
  });

  it('is version 13, or 12 where there is no 13', () => {
    const absent = found(undefined).cublasLt === null;
    if (!absent) console.warn('skipped: version 12 where there is no 13, as this machine has a cuBLASLt');
    copyFileSync(stub, join(folder, 'libcublasLt.so.12'));
    if (absent) expect(found(undefined, folder).cublasLt).toBe('12.8.5 (libcublasLt.so.12)');
    copyFileSync(stub, join(folder, 'libcublasLt.so.13'));
    expect(found(undefined, folder).cublasLt).toBe('13.0.2 (libcublasLt.so.13)');
  });
});
