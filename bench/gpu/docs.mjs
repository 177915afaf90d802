// Puts the figures of a run into docs/gpu.md:
//
//   node bench/gpu/docs.mjs RESULTS/gpu.json
import { readFile, writeFile } from 'node:fs/promises';
import { copyLine, SPEED_HEAD, speedRows } from './summary.mjs';

const DOCUMENT = new URL('../../docs/gpu.md', import.meta.url);
const [BEGIN, END] = ['<!-- figures: bench/gpu/docs.mjs writes from here … -->', '<!-- … to here -->'];

const row = (cells) => `| ${cells.join(' | ')} |`;

export function figures({ date, rehearsal, environment, stages, measurements }) {
  if (rehearsal) throw new Error('a rehearsal has no figures');
  const [gpu] = environment.gpus;
  const checks = stages.flatMap((stage) => stage.checks ?? []);
  const passed = checks.filter((check) => check.passed).length;
  const states = stages.map(({ name, status }) => `${name}: ${status}`).join(', ');
  return [
    `${gpu.name} (compute capability ${gpu.computeCapability}, ${gpu.memory}), driver ${gpu.driver}, nvcc ${environment.nvcc}, PyTorch ` +
      `${environment.torch}, Node ${environment.node}, cfgdistill ${environment.cfgdistill} (${environment.commit}), ${date.slice(0, 10)}.`,
    `${passed} of ${checks.length} checks passed. Stages: ${states}.`,
    `Medians; ${copyLine(measurements)}.`,
    [row(SPEED_HEAD), row(SPEED_HEAD.map(() => '---')), ...speedRows(measurements).map(row)].join('\n'),
  ].join('\n\n');
}

async function main(path) {
  if (!path) throw new Error('usage: node bench/gpu/docs.mjs RESULTS/gpu.json');
  const text = await readFile(DOCUMENT, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('docs/gpu.md: its marks were not found');
  const made = figures(JSON.parse(await readFile(path, 'utf8')));
  await writeFile(DOCUMENT, `${text.slice(0, begin + BEGIN.length)}\n\n${made}\n\n${text.slice(end)}`);
}

await main(process.argv[2]);
