import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { sep } from 'node:path';
import type { Attempt } from '../../addon/advice.ts';
import { whyNotLoaded } from '../../addon/reason.ts';
import { thisSystem } from '../../addon/system.ts';
import { candidates } from '../../addon.ts';
import { askChild, type CudaAnswer } from '../../tensor/probe.ts';
import { version } from '../base-program.ts';

/** What `cfgdistill doctor` finds. Sizes are in bytes; null is what could not be found out. */
export interface Findings {
  /** Of this package. */
  version: string;
  node: { version: string; napi: string; platform: string };
  addon: {
    /** The file that loads. */
    path: string | null;
    /** Shipped with the package, or compiled on this machine. */
    origin: 'prebuilt' | 'compiled' | null;
    loads: boolean;
    /** The files that were tried before it, or without success, and why they do not load. */
    tried: Attempt[];
  };
  cpu: {
    name: string;
    processors: number;
    memory: number;
    freeMemory: number;
    /** Of those that the kernels are compiled for, or could be. */
    features: string[] | null;
    /** The instruction set in use. */
    isa: string | null;
    threads: number | null;
  };
  cuda: {
    library: string | null;
    tried: string[];
    /** An NVIDIA driver is loaded into the system's kernel. */
    driverLoaded: boolean;
    report: CudaAnswer | null;
    /** Whether the first GPU can be opened. */
    usable: boolean;
    problem: string | null;
  };
  /** What device('auto') is. */
  auto: 'cpu' | 'cuda:0' | null;
}

const FEATURES = [
  'avx',
  'avx2',
  'fma',
  'f16c',
  'avx512f',
  'avx512bw',
  'avx512dq',
  'avx512vl',
  'avx512_bf16',
  'amx_bf16',
];

function cpuFeatures(): string[] | null {
  try {
    const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    if (line === undefined) return null;
    const flags = new Set(line.trim().split(/\s+/));
    return FEATURES.filter((feature) => flags.has(feature));
  } catch {
    return null;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Looks at everything that running depends on. Loads nothing into this process: what is broken cannot end it. */
export async function examine(): Promise<Findings> {
  const findings: Findings = {
    version,
    node: {
      version: process.version,
      napi: process.versions.napi ?? 'unknown',
      platform: `${process.platform}-${process.arch}`,
    },
    addon: { path: null, origin: null, loads: false, tried: [] },
    cpu: {
      name: cpus()[0]?.model.trim() || 'unknown',
      processors: availableParallelism(),
      memory: totalmem(),
      freeMemory: freemem(),
      features: cpuFeatures(),
      isa: null,
      threads: null,
    },
    cuda: {
      library: null,
      tried: [],
      driverLoaded: existsSync('/proc/driver/nvidia/version'),
      report: null,
      usable: false,
      problem: null,
    },
    auto: null,
  };
  await examineAddon(findings);
  if (findings.cuda.library !== null) await examineCuda(findings);
  if (findings.addon.loads) {
    const { usable, report } = findings.cuda;
    findings.auto = usable && report?.missing === 0 ? 'cuda:0' : 'cpu';
  }
  return findings;
}

/** As the loader does it: the first file that loads is the addon. */
async function examineAddon({ addon, cpu, cuda }: Findings): Promise<void> {
  for (const path of candidates()) {
    if (!existsSync(path)) {
      addon.tried.push({ path, reason: whyNotLoaded(path, null, thisSystem()) });
      continue;
    }
    try {
      const { isa, threads, cudaLibrary } = await askChild('addon', undefined, path);
      addon.path = path;
      addon.origin = path.includes(`${sep}prebuilds${sep}`) ? 'prebuilt' : 'compiled';
      addon.loads = true;
      cpu.isa = isa;
      cpu.threads = threads;
      cuda.library = cudaLibrary.path;
      cuda.tried = cudaLibrary.tried;
      return;
    } catch (error) {
      addon.tried.push({ path, reason: whyNotLoaded(path, messageOf(error), thisSystem()) });
    }
  }
}

async function examineCuda({ addon: { path }, cuda }: Findings): Promise<void> {
  try {
    cuda.report = await askChild('cuda', undefined, path);
    cuda.problem = cuda.report.problem;
    if (cuda.problem !== null) return;
    await askChild('cuda:0', undefined, path);
    cuda.usable = true;
  } catch (error) {
    cuda.problem = messageOf(error);
  }
}
