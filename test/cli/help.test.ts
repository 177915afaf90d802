import { afterAll, describe, expect, it } from 'vitest';
import { run, temporaryFolder } from './command.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

const PLACEMENT = ['--device', '--compute'];
const OPTIONS: Record<string, string[]> = {
  demo: [...PLACEMENT, '--seed', '--output', '--quick'],
  'train-base': [
    ...PLACEMENT,
    '--task',
    '--data',
    '--seed',
    '--steps',
    '--output',
    '--depth',
    '--width',
    '--heads',
    '--state',
    '--resume',
  ],
  'train-embedder': [
    ...PLACEMENT,
    '--task',
    '--data',
    '--kind',
    '--seed',
    '--steps',
    '--output',
    '--dimensions',
    '--state',
    '--resume',
  ],
  'train-adherence': [...PLACEMENT, '--task', '--data', '--seed', '--steps', '--output', '--dimensions', '--resume'],
  distill: [
    ...PLACEMENT,
    '--base',
    '--data',
    '--max-tokens',
    '--embedder',
    '--beta',
    '--scale',
    '--temperature',
    '--divergence',
    '--rollouts',
    '--resume',
  ],
  sample: [
    ...PLACEMENT,
    '--model',
    '--prompt',
    '--samples',
    '--scale',
    '--temperature',
    '--top-k',
    '--top-p',
    '--max-tokens',
    '--full-bars',
    '--output',
    '--force',
    '--seed',
  ],
  merge: ['--quality', '--diverse', '--weights', '--average', '--method', '--layer', '--memory', '--output'],
  evaluate: [
    ...PLACEMENT,
    ...['--base', '--model', '--embedder', '--independent', '--adherence', '--data'],
    ...['--samples', '--scales', '--top-ps', '--max-tokens', '--output'],
  ],
  doctor: [],
};

describe('help', () => {
  it('of the program lists every command', async () => {
    const { code, stdout, stderr } = await run(folder, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of Object.keys(OPTIONS)) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  });

  it.each(Object.entries(OPTIONS))('of %s names its options and the shared ones', async (name, options) => {
    const { code, stdout, stderr } = await run(folder, name, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: cfgdistill ${name}`);
    for (const option of [...options, '--json', '--quiet', '--verbose']) {
      expect(stdout).toMatch(new RegExp(`^  (-\\w, )?${option}\\b`, 'm'));
    }
  });

  it('is shown on standard error, with exit 2, where no command is given', async () => {
    const { code, stdout, stderr } = await run(folder);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: cfgdistill');
  });

  it('tells the version of the package', async () => {
    const { code, stdout } = await run(folder, '--version');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
