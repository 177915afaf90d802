// npm run check:math: the error of the vector functions that the CPU kernels are made of, over every float32 number, in
// units in the last place of the exact value. Fails if one is above what is promised. CFGDISTILL_ISA chooses the
// instruction set. One to three minutes.
import { native } from './internals.mjs';
import { figure, table } from './table.mjs';

const ALL = 2 ** 32;
const SLICE = 2 ** 26; // numbers at a time, so that Ctrl-C gets through
const PROMISED = 2; // units in the last place

function worst(name) {
  const all = { ulps: 0, at: 0, wrong: 0, wrongAt: 0 };
  for (let first = 0; first < ALL; first += SLICE) {
    const { ulps, at, wrong, wrongAt } = native.mathAccuracy(name, first, 1, SLICE);
    if (ulps > all.ulps) Object.assign(all, { ulps, at });
    if (wrong > 0 && all.wrong === 0) all.wrongAt = wrongAt;
    all.wrong += wrong;
  }
  return all;
}

let failed = false;
const rows = [];
for (const name of ['exp', 'exp_scaled', 'exp_negative', 'log']) {
  const begin = performance.now();
  const { ulps, at, wrong, wrongAt } = worst(name);
  failed ||= wrong > 0 || !(ulps <= PROMISED);
  const seconds = (performance.now() - begin) / 1000;
  rows.push([
    name,
    native.isa(),
    ulps.toFixed(3),
    String(at),
    wrong > 0 ? `${wrong}, first ${wrongAt}` : '0',
    figure(seconds),
  ]);
}
console.log(table(['function', 'instructions', 'largest error, ulp', 'at', 'not as they must be', 'seconds'], rows, 2));
if (failed) {
  console.error(`expected at most ${PROMISED} ulp, and none that is not as it must be`);
  process.exitCode = 1;
}
