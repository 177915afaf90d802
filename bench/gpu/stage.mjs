// The frame of every stage's program: its options, its devices, and its results, which are on disk after each of them so
// that a stage that is cut off has not run for nothing.
import { parseArgs } from 'node:util';
import { device } from '../cfgdistill.mjs';
import { writeFileAtomic } from '../internals.mjs';

/** Collects what a stage finds out. */
class Report {
  #path;
  #written = Promise.resolve();
  notes = [];
  checks = [];
  measurements = [];

  constructor(path) {
    this.#path = path;
  }

  note(text) {
    this.notes.push(text);
    console.log(text);
  }

  /** Runs a check; what it throws is its failure, what it returns goes with it. */
  async check(name, body) {
    const begin = performance.now();
    let result;
    try {
      result = { name, passed: true, ...(await body()) };
    } catch (error) {
      result = { name, passed: false, reason: error.message };
    }
    result.seconds = (performance.now() - begin) / 1000;
    this.checks.push(result);
    console.log(`${result.passed ? 'ok    ' : 'FAILED'} ${name}${result.passed ? '' : `: ${result.reason}`}`);
    await this.write();
    return result.passed;
  }

  /** Runs a measurement; one that throws is kept as such, and does not stop the others. */
  async measure(subject, body) {
    let result;
    try {
      result = { ...subject, how: 'cfgdistill', ...(await body()) };
    } catch (error) {
      result = { ...subject, how: 'cfgdistill', failed: error.message };
    }
    this.measurements.push(result);
    console.log(JSON.stringify(result));
    await this.write();
  }

  /** In turn: one temporary file at a time. */
  write() {
    const { notes, checks, measurements } = this;
    const text = `${JSON.stringify({ notes, checks, measurements }, null, 1)}\n`;
    this.#written = this.#written.then(() => this.#path && writeFileAtomic(this.#path, text));
    return this.#written;
  }
}

/**
 * Runs a stage's program. Exits with 1 when a check or a measurement failed.
 *
 * @param {(stage: { cpu: object, gpu: object, small: boolean, seed?: number, folder: string, match: string,
 *   report: Report }) =>
 *   Promise<void>} body
 */
export async function stage(body) {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      small: { type: 'boolean', default: false },
      seed: { type: 'string' },
      device: { type: 'string', default: 'cuda' },
      folder: { type: 'string', default: '.' },
      match: { type: 'string', default: '' },
    },
  });
  const report = new Report(values.json);
  const [cpu, gpu] = await Promise.all([device('cpu'), device(values.device)]);
  console.log(`${gpu.id}: ${gpu.name}`);
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  const { small, folder, match } = values;
  await body({ cpu, gpu, small, seed, folder, match, report });
  await report.write();
  const failed = [...report.checks.filter(({ passed }) => !passed), ...report.measurements.filter((m) => m.failed)];
  process.exitCode = failed.length > 0 ? 1 : 0;
}
