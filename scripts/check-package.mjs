// Checks the package as a stranger gets it: packs it, looks at what is in it, and uses it in an empty project.
//
//   node scripts/check-package.mjs           contents, require() and import, types: nothing is installed or compiled
//   node scripts/check-package.mjs --full    installs the tarball, with and without --ignore-scripts, with a prebuilt addon
//                                            and without one; runs it on Node 20, 22 and 24, fetched from npm
//
// Prints one line for each step, and exits with 1 at the first that fails.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  addPrebuild,
  extract,
  fetchNode,
  installed,
  pack,
  run,
  runConsumers,
  withoutPrebuilds,
} from './package/consumer.mjs';
import { complaintsAbout } from './package/contents.mjs';
import { checkTypes } from './package/types.mjs';

/** The oldest supported, which cannot require() an ES module, and the newest of each major version. */
const NODES = ['20.9.0', '20', '22', '24'];

const { full } = parseArgs({ options: { full: { type: 'boolean' } } }).values;
const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-package-'));

async function step(name, body) {
  const begin = performance.now();
  const result = await body();
  console.log(`ok ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  return result;
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

async function light(tarball) {
  const project = extract(tarball, join(folder, 'light'));
  addPrebuild(project);
  await step('require() and import', () => runConsumers(project, process.execPath));
  await step('types', () => checkTypes(project, full));
}

async function everything({ tarball, prebuilt }) {
  expect(prebuilt, 'no prebuilt addon for this platform is in the tarball: run `npm run prebuild` before');
  const build = (project) => join(project, 'node_modules/cfgdistill/build');

  const project = await step('install', () => installed(tarball, join(folder, 'scripts')));
  expect(!existsSync(build(project)), 'the install compiled, although there is a prebuilt addon');
  runConsumers(project, process.execPath);
  await step('the command', () => run(project, 'npx', ['--no-install', 'cfgdistill', 'doctor']));

  const silent = await step('install --ignore-scripts', () =>
    installed(tarball, join(folder, 'no-scripts'), '--ignore-scripts'),
  );
  for (const version of NODES) {
    const node = await step(`fetch Node ${version}`, () => fetchNode(version, join(folder, `node-${version}`)));
    await step(`require() and import on Node ${version}`, () => runConsumers(silent, node));
  }

  const bare = withoutPrebuilds(tarball, join(folder, 'bare'));
  const broken = await step('install --ignore-scripts without a prebuilt addon', () =>
    installed(bare, join(folder, 'broken'), '--ignore-scripts'),
  );
  await step('the error then says what to do', () => {
    let message = '';
    try {
      runConsumers(broken, process.execPath);
    } catch (error) {
      message = error.message;
    }
    for (const words of ['not there', '--ignore-scripts', 'npm rebuild cfgdistill'])
      expect(message.includes(words), `'${words}' is not in: ${message}`);
  });
  await step('npm rebuild compiles', () => run(broken, 'npm', ['rebuild', 'cfgdistill']));
  runConsumers(broken, process.execPath);
  const compiled = await step('install without a prebuilt addon compiles', () =>
    installed(bare, join(folder, 'compiled')),
  );
  expect(existsSync(join(build(compiled), 'Release/cfgdistill.node')), 'the install ended without an addon');
  await step('require() and import of what was compiled', () => runConsumers(compiled, process.execPath));
}

try {
  const packed = await step('pack', () => pack(folder));
  await step('contents', () => {
    const complaints = complaintsAbout(packed);
    expect(complaints.length === 0, complaints.join('\n'));
  });
  await light(packed.tarball);
  if (full) await everything(packed);
} catch (error) {
  console.error(`FAILED ${error.stack ?? error}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
