import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Attempt, adviceOnAddon } from './addon/advice.ts';
import { addonCandidates } from './addon/candidates.ts';
import { whyNotLoaded } from './addon/reason.ts';
import { systemName, target, thisSystem } from './addon/system.ts';
import { CfgDistillError } from './errors.ts';

const load = createRequire(import.meta.url);

/** The folder of the package. */
export const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..');

let loaded: string | undefined;

/** The files that may be the addon of this package, in the order in which they are tried. */
export function candidates(): string[] {
  return addonCandidates(packageRoot, target());
}

/** The file of the addon: the one that is loaded, or else the first of those that are there. Null when there is none. */
export function addonPath(): string | null {
  return loaded ?? candidates().find((path) => existsSync(path)) ?? null;
}

/** The native addon; its typed contract is in native.ts. Throws CfgDistillError, which says why none could be loaded. */
export function loadAddon(): unknown {
  const { path, addon } = loadFirst(candidates());
  loaded = path;
  return addon;
}

/**
 * Loads the first of the files that loads. When another than the first that is there was taken, a process warning says
 * why. Throws CfgDistillError with what was tried, why each failed and what to do.
 *
 * @param root the folder of the package, for the advice
 */
export function loadFirst(paths: readonly string[], root = packageRoot): { path: string; addon: unknown } {
  const failures: { path: string; error: unknown }[] = [];
  for (const path of paths) {
    try {
      if (!existsSync(path)) {
        failures.push({ path, error: undefined });
        continue;
      }
      const addon: unknown = load(path);
      if (!isOurs(addon)) throw new CfgDistillError('ERR_DEVICE', 'an addon without setErrorClasses()');
      const [stale] = failures.filter(({ error }) => error !== undefined);
      if (stale) {
        const { text } = whyNotLoaded(stale.path, messageOf(stale.error), thisSystem());
        process.emitWarning(`${stale.path} ${text}; in use instead: ${path}`, 'CfgDistillWarning');
      }
      return { path, addon };
    } catch (error) {
      failures.push({ path, error });
    }
  }
  const system = thisSystem();
  const attempts = failures.map(({ path, error }) => ({
    path,
    reason: whyNotLoaded(path, error === undefined ? null : messageOf(error), system),
  }));
  const cause = failures.find(({ error }) => error !== undefined)?.error;
  throw new CfgDistillError('ERR_DEVICE', explanation(attempts, root), undefined, cause === undefined ? {} : { cause });
}

/** What was tried, why each file failed and what to do, in lines. */
export function explanation(attempts: readonly Attempt[], root = packageRoot): string {
  const system = thisSystem();
  return [
    `the native addon of cfgdistill could not be loaded on ${systemName(system)}. Tried:`,
    ...attempts.map(({ path, reason }) => `  ${path}: ${reason.text};`),
    'what to do:',
    ...adviceOnAddon(attempts, system, root).map((text) => `  ${text}`),
  ].join('\n');
}

const isOurs = (addon: unknown): boolean => typeof addon === 'object' && addon !== null && 'setErrorClasses' in addon;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
