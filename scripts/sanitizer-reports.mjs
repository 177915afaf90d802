// Reads the reports that sanitizers have left in a folder, and prints those that concern this library: every error,
// every data race, and every leak with a frame of the addon or of the CUDA backend in its stack. Exits with 1 when there
// is one.
//
//   node scripts/sanitizer-reports.mjs FOLDER
//
// A suppression by name would not do for leaks: all of the addon's stacks go on into Node.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const OURS = /cfgdistill[^/\s)]*\.(node|so)|<unknown module>\s*\(cfgdistill/;
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node scripts/sanitizer-reports.mjs FOLDER');
  process.exit(2);
}

let found = 0;
let others = 0;
let processes = 0;
for (const name of readdirSync(folder).sort()) {
  processes++;
  const text = readFileSync(join(folder, name), 'utf8');
  const [, ...leaks] = text.split(/^(?=(?:Direct|Indirect) leak of )/m);
  for (const leak of leaks) {
    const stack = leak.split('\n\n')[0];
    if (OURS.test(stack)) {
      found++;
      console.log(`${name}: ${stack}\n`);
    } else others++;
  }
  for (const report of text.split(/^(?===\d+==ERROR: |={10,}\n)/m)) {
    if (!/ERROR: \w+Sanitizer: |WARNING: ThreadSanitizer: /.test(report)) continue;
    if (/ERROR: LeakSanitizer: /.test(report)) continue;
    found++;
    console.log(`${name}: ${report}\n`);
  }
}
console.log(`reports of ${processes} processes: ${found} of this library, ${others} leaks of Node's own`);
process.exit(found > 0 ? 1 : 0);
