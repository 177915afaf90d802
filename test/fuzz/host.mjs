// One fuzzing run: loads the fuzzing build of the addon and gives libFuzzer's inputs to a target. Started by
// scripts/fuzz.mjs, which preloads the address sanitizer.
//
//   node test/fuzz/host.mjs TARGET FOLDER [libFuzzer's options…]
//
// FOLDER has the addon in build/Release and the library's instrumented JavaScript in lib/.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

const [name, folder, ...options] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(join(folder, 'build/Release/cfgdistill.node'));
globalThis.__counters = new Uint8Array(Number(process.env.CFGDISTILL_FUZZ_COUNTERS));
const errors = await import(join(folder, 'lib/errors.js'));
const { CheckpointError, DeviceError, DTypeError, OutOfMemoryError, ShapeError, ValueError } = errors;
addon.setErrorClasses([Error, ShapeError, DTypeError, ValueError, DeviceError, OutOfMemoryError, CheckpointError]);
if (name === 'safetensors') globalThis.__counters = addon.coverageCounters(globalThis.__counters.length);

const { makeTarget } = await import(`./targets/${name}.mjs`);
const { run, refused } = await makeTarget({ addon, errors, folder });

/** Every input ends in a result or in an error that the target names as one of the library's own. */
async function onInput(bytes) {
  let ok = true;
  try {
    await run(bytes);
  } catch (error) {
    ok = refused(error);
    if (!ok) console.error(error);
  }
  addon.answer(ok);
}

// So often that finalisers run and nothing heaps up.
let inputs = 0;
addon.fuzz(['cfgdistill', ...options], (bytes) => {
  if (++inputs % 1000 === 0) setImmediate().then(() => onInput(bytes));
  else onInput(bytes);
});
