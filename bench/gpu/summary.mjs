// The one table at the end, and the same as Markdown for docs/gpu.md.
import { figure, table } from '../table.mjs';
import { copyOf, judged } from './goals.mjs';

const milliseconds = (ms) => (ms === undefined ? '' : figure(ms < 1 ? ms * 1000 : ms) + (ms < 1 ? ' µs' : ' ms'));

function ratioText({ of, ratio, atLeast, met }) {
  if (of === 'memory') return `memory ${met ? 'within' : 'BEYOND'} inputs + gradient`;
  const value = of === 'copy' ? `${figure(ratio)} of copy` : `${figure(ratio)}× ${of}`;
  return atLeast === undefined ? value : `${value} (${atLeast}: ${met ? 'met' : 'NOT MET'})`;
}

const speedOf = (m) => {
  if (m.gigabytesPerSecond) return `${figure(m.gigabytesPerSecond)} GB/s`;
  return m.tokens ? `${figure((1000 * m.tokens) / m.ms)} tokens/s` : '';
};

/** Lines of cells: what was measured, its time and speed, and how that stands to its goals. */
export function speedRows(measurements, rehearsal = false) {
  return judged(measurements).map((m) => [
    m.what,
    m.shape,
    m.dtype === 'bfloat16' ? 'bf16' : 'f32',
    milliseconds(m.ms),
    speedOf(m),
    m.failed ? `FAILED: ${m.failed.slice(0, 60)}` : rehearsal ? '' : m.ratios.map(ratioText).join(' · '),
  ]);
}

export const SPEED_HEAD = ['what', 'shape', 'type', 'time', 'speed', 'against (goal)'];

export function copyLine(measurements) {
  const copy = copyOf(measurements);
  if (!copy) return 'no copy was measured';
  const whose = copy.how === 'copy' ? "PyTorch's copy_" : 'the scaling of a tensor, for want of PyTorch';
  return `copy: ${figure(copy.bytes / copy.ms / 1e6)} GB/s read and written, by ${whose}`;
}

const stageText = ({ status, checks = [], reason, seconds }) => {
  const failed = checks.filter(({ passed }) => !passed).length;
  const counted = checks.length > 0 ? `, ${checks.length - failed} of ${checks.length} checks` : '';
  return `${status}${counted}${seconds === undefined ? '' : `, ${seconds.toFixed(0)} s`}${reason ? ` (${reason})` : ''}`;
};

export function printed({ environment, rehearsal, stages, measurements }) {
  const gpu = environment.gpus[0];
  const lines = [
    rehearsal
      ? 'Rehearsal: an emulated device and tiny shapes. The times mean nothing.'
      : `${gpu?.name}, driver ${gpu?.driver}, nvcc ${environment.nvcc}, PyTorch ${environment.torch}, Node ${environment.node}`,
    table(
      ['stage', 'result'],
      stages.map((stage) => [stage.name, stageText(stage)]),
      2,
    ),
  ];
  const failures = stages.flatMap(({ name, checks = [] }) =>
    checks.filter(({ passed }) => !passed).map((check) => `${name}: ${check.name}: ${check.reason}`.slice(0, 200)),
  );
  if (failures.length > 0) lines.push(...failures.slice(0, 12), ...(failures.length > 12 ? ['…'] : []));
  if (measurements.length > 0) {
    lines.push(copyLine(measurements), table(SPEED_HEAD, speedRows(measurements, rehearsal), 6));
    const goals = judged(measurements).flatMap(({ ratios }) => ratios.filter(({ met }) => met !== undefined));
    if (!rehearsal) lines.push(`${goals.filter(({ met }) => met).length} of ${goals.length} goals met`);
  }
  return lines.join('\n');
}
