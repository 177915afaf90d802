import { adviceOnAddon } from '../../addon/advice.ts';
import { thisSystem } from '../../addon/system.ts';
import { packageRoot } from '../../addon.ts';
import type { Findings } from './examine.ts';

/** What to do about what is missing, one sentence or two for each thing; empty when nothing is. */
export function adviceOn(findings: Findings): string[] {
  const { addon, cpu, cuda } = findings;
  const advice: string[] = [];
  if (!addon.loads) return adviceOnAddon(addon.tried, thisSystem(), packageRoot);
  if (cpu.isa === 'baseline' && cpu.features?.includes('avx2')) {
    advice.push('The processor has AVX2, which is not in use: check that CFGDISTILL_ISA is not set.');
  }
  if (cuda.tried.length === 0) return advice; // no CUDA on this system
  if (cuda.library === null) {
    const way =
      'Build it with `npm run build:cuda`, which needs the CUDA toolkit (nvcc) 12.0 or newer, or set CFGDISTILL_CUDA_LIBRARY ' +
      'to where it is.';
    advice.push(
      cuda.driverLoaded
        ? `There is an NVIDIA driver but no CUDA backend. ${way}`
        : `Everything runs on the CPU. To use an NVIDIA GPU (compute capability 8.0 or newer), install its driver and the CUDA backend. ${way}`,
    );
    return advice;
  }
  if (cuda.problem !== null) {
    advice.push(sentence(cuda.problem.replace(/^device: /, '')));
    return advice;
  }
  if (cuda.report && cuda.report.missing > 0) {
    advice.push(
      `The CUDA backend lacks ${cuda.report.missing} operations, so 'auto' stays on the CPU: build it again from this version's ` +
        'sources (`npm run build:cuda`).',
    );
  }
  if (cuda.report && cuda.report.cublasLt === null) {
    advice.push(
      'cuBLASLt was not found, so matrix products run on slower kernels of our own: install the CUDA toolkit or the ' +
        '`libcublas` package of the same major version, and put its folder on LD_LIBRARY_PATH.',
    );
  }
  return advice;
}

function sentence(text: string): string {
  const end = /[.!?]$/.test(text) ? '' : '.';
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${end}`;
}
