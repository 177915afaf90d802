import { statSync } from 'node:fs';
import { type Binary, inspectBinary } from './binary.ts';
import type { System } from './system.ts';

/** Why a file was not loaded; what can be done depends on the kind. */
export interface Reason {
  kind: 'absent' | 'unusable' | 'elsewhere' | 'old-libc' | 'library' | 'node' | 'other';
  text: string;
}

const NAMES: Readonly<Record<string, string>> = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' };

/**
 * Finds out why the system or Node refused a file: from the file itself where it tells more than the message.
 *
 * @param message what `require` or dlopen said, null when nothing was tried because there is no file
 */
export function whyNotLoaded(path: string, message: string | null, system: System): Reason {
  try {
    const info = statSync(path);
    if (!info.isFile()) return { kind: 'unusable', text: `is ${info.isDirectory() ? 'a folder' : 'no file'}` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent', text: 'not there' };
    return { kind: 'unusable', text: `cannot be read: ${code}` };
  }
  let binary: Binary;
  try {
    binary = inspectBinary(path);
  } catch (error) {
    return {
      kind: 'unusable',
      text: `is ${error instanceof Error ? error.message : String(error)}${said(message, path)}`,
    };
  }
  const reason = misfit(binary, system) ?? refusal(message);
  return { kind: reason.kind, text: `${reason.text}${said(message, path)}` };
}

/** What in the file does not fit the system. */
function misfit({ platform, architectures, needed, versions }: Binary, system: System): Reason | null {
  const here = NAMES[system.platform] ?? system.platform;
  if (platform !== system.platform)
    return { kind: 'elsewhere', text: `is a library for ${NAMES[platform]}; this is ${here}` };
  if (!architectures.includes(system.arch))
    return { kind: 'elsewhere', text: `is built for ${architectures.join(' and ')}; this Node is ${system.arch}` };
  if (system.libc === 'glibc' && needed.some((name) => /^libc\.musl-|^ld-musl-/.test(name)))
    return { kind: 'elsewhere', text: 'is built for musl (Alpine Linux); this system has glibc' };
  if (system.libc === 'musl' && needed.includes('libc.so.6'))
    return { kind: 'elsewhere', text: 'is built for glibc; this system has musl (Alpine Linux)' };
  const wanted = newestGlibc(versions);
  if (wanted !== null && system.glibc !== null && compareVersions(wanted, system.glibc) > 0)
    return { kind: 'old-libc', text: `needs glibc ${wanted} or newer; this system has ${system.glibc}` };
  return null;
}

/** What the message means. */
function refusal(message: string | null): Reason {
  if (message === null) return { kind: 'other', text: 'was not loaded' };
  const library =
    /(\S+): cannot open shared object file|Error loading shared library (\S+):|Library not loaded: (\S+)/.exec(message);
  if (library)
    return { kind: 'library', text: `needs ${library[1] ?? library[2] ?? library[3]}, which is not installed` };
  const version = /version [`'](\S+)' not found/.exec(message);
  if (version) return { kind: 'old-libc', text: `needs ${version[1]}, which the installed library lacks` };
  if (/without setErrorClasses/.test(message))
    return { kind: 'unusable', text: 'is an addon, but not that of cfgdistill' };
  if (/did not self-register/i.test(message)) return { kind: 'unusable', text: 'is a library, but no addon of Node' };
  if (/NODE_MODULE_VERSION/.test(message)) return { kind: 'node', text: 'is built for another Node' };
  if (/undefined symbol: napi_|undefined symbol: node_api_/.test(message))
    return { kind: 'node', text: 'needs a newer Node-API than this Node has' };
  return { kind: 'other', text: 'does not load' };
}

function newestGlibc(versions: readonly string[]): string | null {
  const numbers = versions.flatMap((version) => /^GLIBC_(\d+(?:\.\d+)*)$/.exec(version)?.[1] ?? []);
  return numbers.sort(compareVersions).at(-1) ?? null;
}

/** Compares 2.9 and 2.31 by their numbers. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The loader's own words, on one line and without what is known already. */
function said(message: string | null, path: string): string {
  const rest =
    message
      ?.replaceAll(`${path}: `, '')
      .trim()
      .replace(/\s*\n\s*/g, ' ') ?? '';
  return rest === '' ? '' : ` (${rest})`;
}
