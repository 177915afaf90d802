import type { Findings } from './examine.ts';

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** The findings for people, one line for each, then what to do. */
export function describe(findings: Findings, advice: readonly string[]): string {
  const rows: [string, string][] = [
    ['Package', `cfgdistill ${findings.version}`],
    ['Node', nodeLine(findings)],
    ...addonLines(findings),
    ...cpuLines(findings),
    ...cudaLines(findings),
    ["'auto' is", autoLine(findings)],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, text]) => `${label.padEnd(width)}  ${text}`);
  if (advice.length === 0) return [...lines, '', 'Nothing is missing.'].join('\n');
  return [...lines, '', 'What to do:', ...advice.map((text) => `- ${text}`)].join('\n');
}

function nodeLine({ node }: Findings): string {
  return `${node.version}, Node-API ${node.napi}, ${node.platform}`;
}

function addonLines({ addon }: Findings): [string, string][] {
  const origin = addon.origin === 'prebuilt' ? 'shipped with the package' : 'compiled on this machine';
  const lines: [string, string][] = [['Addon', addon.path === null ? 'none loads' : `${addon.path}, ${origin}`]];
  // A file that is not there matters only where none loads.
  const failed = addon.tried.filter(({ reason }) => !addon.loads || reason.kind !== 'absent');
  for (const { path, reason } of failed) lines.push(['', `${path}: ${reason.text}`]);
  return lines;
}

function cpuLines({ cpu }: Findings): [string, string][] {
  const lines: [string, string][] = [
    ['CPU', `${cpu.name}, ${cpu.processors} processors, ${gib(cpu.freeMemory)} of ${gib(cpu.memory)} memory free`],
  ];
  if (cpu.isa !== null) lines.push(['', `in use: ${cpu.isa} kernels on ${cpu.threads} threads (CFGDISTILL_THREADS)`]);
  if (cpu.features !== null) lines.push(['', `features: ${cpu.features.join(' ') || 'none that matter'}`]);
  return lines;
}

function cudaLines({ addon, cuda }: Findings): [string, string][] {
  if (!addon.loads) return [];
  if (cuda.tried.length === 0) return [['CUDA', 'on Linux only']];
  if (cuda.library === null) return [['CUDA', `no backend; looked for ${cuda.tried.join(' and ')}`]];
  const lines: [string, string][] = [['CUDA', cuda.library]];
  const { report } = cuda;
  if (report) {
    const driver = report.driver === null ? 'no driver' : `a driver for CUDA up to ${report.driver}`;
    lines.push(['', `${driver}, built with CUDA ${report.runtime}, cuBLASLt ${report.cublasLt ?? 'not found'}`]);
    if (report.missing > 0) lines.push(['', `${report.missing} operations are missing`]);
    for (const { index, name, computeCapability, memory, freeMemory } of report.devices) {
      const size = memory === undefined ? '' : `, ${freeMemory == null ? '?' : gib(freeMemory)} of ${gib(memory)} free`;
      lines.push([
        index === 0 ? 'GPU' : '',
        name === null
          ? `cuda:${index}: cannot be asked`
          : `cuda:${index}: ${name}, compute capability ${computeCapability}${size}`,
      ]);
    }
  }
  if (cuda.problem !== null) lines.push(['', firstLine(cuda.problem)]);
  return lines;
}

function autoLine({ auto, cuda }: Findings): string {
  if (auto === null) return 'nothing: the addon does not load';
  if (auto === 'cuda:0') return 'cuda:0, the first GPU';
  if (cuda.library === null) return 'the CPU: there is no CUDA backend';
  return cuda.usable ? 'the CPU: the CUDA backend lacks operations' : 'the CPU: the GPU cannot be used';
}

function firstLine(text: string | null): string {
  return (text ?? 'unknown').split('\n', 1)[0] as string;
}
