import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Reason } from './reason.ts';
import type { System } from './system.ts';
import { missingTools } from './tools.ts';

/** A file that was tried, and why it was not loaded. */
export interface Attempt {
  path: string;
  reason: Reason;
}

/** What to do when no file could be loaded: a sentence or two for each thing. */
export function adviceOnAddon(
  attempts: readonly Attempt[],
  system: System,
  root: string,
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  const kinds = new Set(attempts.map(({ reason }) => reason.kind));
  if (environment.CFGDISTILL_ADDON) {
    return [
      `CFGDISTILL_ADDON is set, so no other file was tried: unset it, or set it to an addon for ${system.platform}-${system.arch}.`,
    ];
  }
  const checkout = existsSync(join(root, 'lib', 'native.ts'));
  const command = checkout ? '`npm run build:native`' : '`npm rebuild cfgdistill`';
  const advice: string[] = [];
  if (kinds.has('elsewhere')) {
    advice.push(
      'The package was installed on another system and copied here (a container, another machine, or Node of another ' +
        `architecture): install it here, or run ${command} here.`,
    );
  } else if (kinds.has('node')) {
    advice.push(`Use Node 20 or newer (this is ${system.node}), or compile the addon for this one: ${command}.`);
  } else if (kinds.size === 1 && kinds.has('absent')) {
    advice.push(
      existsSync(join(root, 'build'))
        ? `The addon was not compiled to the end: run ${command} and look at its first error.`
        : checkout
          ? `Compile it: ${command}.`
          : `This package has no prebuilt addon for ${system.platform}-${system.arch}${system.libc ? ` with ${system.libc}` : ''}, ` +
            'and none was compiled when it was installed, as it is with `npm install --ignore-scripts` or ignore-scripts in ' +
            `.npmrc. Compile it: ${command}.`,
    );
  } else {
    advice.push(`Compile the addon on this machine: ${command}.`);
  }
  if (kinds.has('library') && system.libc === 'musl') advice.push('On Alpine Linux: `apk add libstdc++`.');
  advice.push(compilerAdvice(system, missingTools(system.platform, environment)));
  return advice;
}

function compilerAdvice({ platform, libc }: System, missing: readonly string[]): string {
  const what = 'Compiling needs Python 3, make and a C++20 compiler';
  const lacking = missing.length > 0 ? `; not found here: ${missing.join(', ')}` : '';
  if (platform === 'win32')
    return 'Compiling needs Python 3 and the Visual Studio Build Tools with "C++ Clang tools for Windows" (ClangCL).';
  if (platform === 'darwin') return `${what}${lacking} (\`xcode-select --install\`).`;
  if (libc === 'musl') return `${what}${lacking} (Alpine Linux: \`apk add python3 make g++\`).`;
  return `${what}${lacking} (Debian and Ubuntu: \`apt-get install python3 make g++\`; Fedora: \`dnf install python3 make gcc-c++\`).`;
}
