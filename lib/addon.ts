import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CfgDistillError } from './errors.ts';

interface Loader {
  (folder: string): unknown;
  /** The file that would be loaded; throws when there is none. */
  resolve(folder: string): string;
}

const require = createRequire(import.meta.url);
const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The file of the native addon. Throws when there is none for this platform. */
export function addonPath(): string {
  return (require('node-gyp-build') as Loader).resolve(root);
}

/** The native addon; its typed contract is in native.ts. Throws CfgDistillError, saying what to do, without one. */
export function loadAddon(): unknown {
  try {
    return (require('node-gyp-build') as Loader)(root);
  } catch (cause) {
    throw new CfgDistillError(
      'ERR_DEVICE',
      `the native addon of cfgdistill could not be loaded (${process.platform}-${process.arch}, Node ${process.version}). ` +
        'It is compiled when the package is installed: check that Python 3, make and a C++20 compiler are present and that ' +
        'npm was not run with --ignore-scripts, then run `npm rebuild cfgdistill` (in a checkout: `npm run build:native`). ' +
        `The cause: ${cause instanceof Error ? cause.message : String(cause)}`,
      undefined,
      { cause },
    );
  }
}
