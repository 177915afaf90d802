import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { SANITIZED } from './support/sanitized.ts';

const SCRIPT = fileURLToPath(new URL('../scripts/check-package.mjs', import.meta.url));

// scripts/check-package.mjs --full installs it as well.
// Nothing in the package depends on how the addon was built.
if (SANITIZED) console.warn('skipped: the packed package under a sanitizer');
describe.skipIf(SANITIZED)('the packed package', () => {
  let output = '';
  beforeAll(() => {
    const { stdout, stderr } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8' });
    output = stdout + stderr;
  }, 120_000);

  it.each([
    ['holds what a consumer needs and nothing else', 'contents'],
    ['is one library for require() and import, with the dependencies it declares', 'require() and import'],
    ['has types for both', 'types'],
  ])('%s', (_, step) => {
    expect(output).toContain(`ok ${step} (`);
  });
});
