import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether a program is on the command path. */
function isOnPath(name: string, environment: NodeJS.ProcessEnv): boolean {
  const folders = (environment.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * What compiling the addon needs and this machine lacks, by name. Not looked for on Windows, where compilers are not on
 * the command path.
 */
export function missingTools(
  platform: string = process.platform,
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  if (platform === 'win32') return [];
  const has = (...names: string[]) => names.some((name) => isOnPath(name, environment));
  const missing: string[] = [];
  if (!environment.PYTHON && !has('python3', 'python')) missing.push('Python 3');
  if (!has('make', 'gmake')) missing.push('make');
  if (!environment.CXX && !has('g++', 'clang++', 'c++')) missing.push('a C++20 compiler');
  return missing;
}
