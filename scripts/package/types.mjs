// Compiles test/package/types.ts against the packed declarations, as the projects of others would.
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../binding.mjs';
import { run } from './consumer.mjs';

const STRICT = { target: 'es2022', strict: true, noEmit: true, types: ['node'] };

/** Module settings, and the files that are compiled under them: `.mts` imports, `.cts` requires. */
const MODES = {
  node16: [{ module: 'node16', moduleResolution: 'node16' }, ['types.mts', 'types.cts']],
  bundler: [{ module: 'esnext', moduleResolution: 'bundler' }, ['types.ts']],
  nodenext: [{ module: 'nodenext', moduleResolution: 'nodenext' }, ['types.mts', 'types.cts']],
};

/**
 * Throws with the compiler's words when a mode does not compile.
 *
 * @param full every mode, and every declaration of the package, not only those that are used: takes a minute
 */
export function checkTypes(project, full) {
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name), 'junction');
  for (const [mode, [options, files]] of Object.entries(MODES).slice(0, full ? undefined : 2)) {
    for (const file of files) cpSync(join(root, 'test/package/types.ts'), join(project, file));
    writeFileSync(
      join(project, `${mode}.json`),
      JSON.stringify({ compilerOptions: { ...STRICT, skipLibCheck: !full, ...options }, files }),
    );
    run(project, process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', `${mode}.json`]);
  }
}
