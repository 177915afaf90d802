import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adviceOn } from '../../lib/cli/doctor/advice.ts';
import { describe as describeFindings } from '../../lib/cli/doctor/describe.ts';
import type { Findings } from '../../lib/cli/doctor/examine.ts';
import { native } from '../../lib/native.ts';
import { BUILD_TIMEOUT, buildEmulation } from '../support/emulated-device.ts';
import { start, temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
let emulated: string;
beforeAll(() => {
  emulated = buildEmulation();
}, BUILD_TIMEOUT);

async function doctor(env: Record<string, string>) {
  const { code, stdout, stderr } = await start(folder, ['doctor', '--json'], env).finished;
  expect(stderr).toBe('');
  const { advice, ...findings } = JSON.parse(stdout) as Findings & { advice: string[] };
  return { code, advice: advice.join('\n'), findings, text: describeFindings(findings, advice) };
}

describe('doctor', () => {
  it('shows what there is where the CPU is all', async () => {
    const { code, findings, text, advice } = await doctor({ CFGDISTILL_CUDA_LIBRARY: '/no/such/library.so' });
    expect(code).toBe(0);
    expect(findings).toMatchObject({
      node: { version: process.version, platform: `${process.platform}-${process.arch}` },
      addon: { loads: true, path: expect.stringMatching(/cfgdistill.*\.node$/) },
      cpu: { isa: native.isa(), threads: native.threads() },
      cuda: { library: null, tried: ['/no/such/library.so'], usable: false },
      auto: 'cpu',
    });
    expect(text).toMatch(/^'auto' is +the CPU: there is no CUDA backend$/m);
    expect(text).toMatch(/^CUDA +no backend; looked for \/no\/such\/library\.so$/m);
    expect(advice).toContain('npm run build:cuda');
  });

  it('prints the same for people, one line for each thing', async () => {
    const { code, stdout, stderr } = await start(folder, ['doctor'], { CFGDISTILL_CUDA_LIBRARY: '/no/such.so' })
      .finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const label of ['Package', 'Node', 'Addon', 'CPU', 'CUDA', "'auto' is"])
      expect(stdout).toMatch(new RegExp(`^${label} +\\S`, 'm'));
    expect(stdout).toContain(`in use: ${native.isa()} kernels`);
  });

  it('shows GPUs, and which device auto is', async () => {
    const env = { CFGDISTILL_CUDA_LIBRARY: emulated, CFGDISTILL_EMULATION_DEVICES: '2' };
    const { code, findings, text } = await doctor(env);
    expect(code).toBe(0);
    expect(findings.cuda).toMatchObject({ library: emulated, usable: true, problem: null });
    expect(findings.cuda.report).toMatchObject({ driver: '13.0', runtime: '13.0' });
    expect(findings.auto).toBe(findings.cuda.report?.missing === 0 ? 'cuda:0' : 'cpu');
    expect(text).toMatch(/^GPU +cuda:0: emulated CUDA device, compute capability 8\.0, 1\.0 GiB of 1\.0 GiB free$/m);
    expect(text).toMatch(/^ +cuda:1: emulated CUDA device/m);
  });

  it.each([
    ['old-driver', /driver is too old: it supports CUDA 12\.4.*Install the driver of branch 580/],
    ['no-driver', /No NVIDIA driver was found/],
    ['no-device', /No NVIDIA GPU was found/],
    ['old-gpu', /compute capability 8\.0 or newer.*got 7\.5/],
    ['no-memory', /Out of memory: cuda:0/],
    ['crash', /CUDA was tried in a process of its own, which ended by SIGABRT/],
  ])('says what to do about a GPU that cannot be used (%s)', async (fault, expected) => {
    const env = { CFGDISTILL_CUDA_LIBRARY: emulated, CFGDISTILL_EMULATION_FAULT: fault };
    const { code, findings, advice, text } = await doctor(env);
    expect(code).toBe(0);
    expect(findings).toMatchObject({ auto: 'cpu', cuda: { usable: false } });
    expect(advice).toMatch(expected);
    expect(text).toMatch(/^'auto' is +the CPU: the GPU cannot be used$/m);
  });

  it('works, and exits with 1, where the addon is missing or does not load', async () => {
    const absent = await doctor({ CFGDISTILL_ADDON: join(folder, 'nothing.node') });
    expect(absent).toMatchObject({ code: 1, findings: { addon: { path: null, loads: false }, auto: null } });
    expect(absent.text).toMatch(/^Addon +none loads\n +.*nothing\.node: not there$/m);
    expect(absent.advice).toMatch(/CFGDISTILL_ADDON is set.*unset it/);

    const file = join(folder, 'broken.node');
    writeFileSync(file, 'no library');
    const broken = await doctor({ CFGDISTILL_ADDON: file });
    expect(broken).toMatchObject({ code: 1, findings: { addon: { loads: false }, auto: null } });
    expect(broken.findings.addon.tried).toEqual([
      { path: file, reason: { kind: 'unusable', text: expect.stringMatching(/^is no native library/) } },
    ]);
    expect(broken.text).toMatch(/^ +.*broken\.node: is no native library: it begins "no library"/m);
  });

  it('advises on operations and libraries that are missing, and on nothing else', () => {
    const report = { driver: '13.0', runtime: '13.0', cublasLt: '13.1', problem: null, devices: [], missing: 0 };
    const findings: Findings = {
      version: '1.0.0',
      node: { version: 'v20.0.0', napi: '9', platform: 'linux-x64' },
      addon: { path: '/a.node', origin: 'prebuilt', loads: true, tried: [] },
      cpu: { name: 'x', processors: 1, memory: 1, freeMemory: 1, features: ['avx2'], isa: 'avx2', threads: 1 },
      cuda: { library: '/l.so', tried: ['/l.so'], driverLoaded: true, report, usable: true, problem: null },
      auto: 'cuda:0',
    };
    expect(adviceOn(findings)).toEqual([]);
    expect(describeFindings(findings, [])).toContain('Nothing is missing.');
    findings.cuda.report = { ...report, missing: 3, cublasLt: null };
    findings.cpu.isa = 'baseline';
    const advice = adviceOn(findings);
    expect(advice).toHaveLength(3);
    for (const [i, word] of ['CFGDISTILL_ISA', 'lacks 3 operations', 'cuBLASLt'].entries())
      expect(advice[i]).toContain(word);
    findings.cuda.library = null;
    findings.cpu.isa = 'avx2';
    expect(adviceOn(findings)).toEqual([expect.stringMatching(/^There is an NVIDIA driver but no CUDA backend/)]);
    findings.cuda.tried = [];
    expect(adviceOn(findings)).toEqual([]);
    expect(describeFindings(findings, [])).toMatch(/^CUDA +on Linux only$/m);
  });
});
