import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { BUILD_TIMEOUT, buildEmulation, ORDERS } from '../support/emulated-device.ts';

let program: string;
beforeAll(() => {
  program = buildEmulation('--program', 'test/cuda/programs/emulation.cu');
}, BUILD_TIMEOUT);

/** What a kernel of the program gives under each order of the threads. */
const results = (kernel: string): string[] =>
  ORDERS.map((order) =>
    execFileSync(program, [kernel], {
      encoding: 'utf8',
      env: { ...process.env, CFGDISTILL_EMULATION_ORDER: order },
    }).trim(),
  );

describe('the CUDA emulation', () => {
  it('gives one result in every order to a kernel with its barrier', () => {
    const [first, ...others] = results('barrier');
    expect(first).toMatch(/^1 0 /); // thread 0 has 1², the last one 0²
    expect(others).toEqual([first, first]);
  });

  it('gives different results to a kernel that lacks a barrier', () => {
    expect(new Set(results('missing_barrier')).size).toBeGreaterThan(1);
  });

  it('reduces over a block', () => {
    // 0 + … + 95 + 96 = 4656; the largest of 7t mod 96 is 95.
    for (const result of results('reductions')) expect(result).toMatch(/^954656 954656 /);
  });

  it('does not wait for threads that have returned', () => {
    for (const result of results('early_return')) expect(result).toMatch(/^2 1 /);
  });

  it('runs nothing before its stream is waited for', () => {
    for (const result of results('late')) expect(result).toMatch(/^0 2 1 /);
  });

  it.each([
    ['half_at_a_barrier', /^cudaErrorLaunchFailure: .*not reached by every thread$/],
    ['half_a_warp', /^cudaErrorLaunchFailure: .*not reached by every thread$/],
    ['two_barriers', /^cudaErrorLaunchFailure: .*wait at different barriers$/],
    ['too_many_threads', /^cudaErrorInvalidConfiguration/],
    ['too_much_shared', /^cudaErrorInvalidConfiguration/],
  ])('refuses %s', (kernel, expected) => {
    for (const result of results(kernel)) expect(result).toMatch(expected);
  });

  it('refuses an order that it does not know', () => {
    const env = { ...process.env, CFGDISTILL_EMULATION_ORDER: 'sideways' };
    expect(execFileSync(program, ['barrier'], { encoding: 'utf8', env })).toContain('CFGDISTILL_EMULATION_ORDER');
  });
});
