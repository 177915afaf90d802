import { createRequire } from 'node:module';
import { DependencyError } from './errors.ts';

/**
 * Loads a package that users install themselves, when they want what it is for.
 *
 * @param name of the package
 * @param purpose what errors say it is for: "sound fonts"
 * @returns what the module exports; the caller says, and checks, of what type that is
 * @throws DependencyError saying what to install where it is missing, or why it cannot be loaded
 */
export async function importOptional(name: string, purpose: string): Promise<unknown> {
  try {
    return await import(name);
  } catch (cause) {
    throw failure(name, name, purpose, cause);
  }
}

/**
 * The path of a file in a package that users install themselves.
 *
 * @param file as the package exports it: "folder/file"
 * @throws as {@link importOptional}
 */
export function resolveOptional(name: string, file: string, purpose: string): string {
  try {
    return createRequire(import.meta.url).resolve(`${name}/${file}`);
  } catch (cause) {
    throw failure(name, `${name}/${file}`, purpose, cause);
  }
}

function failure(name: string, wanted: string, purpose: string, cause: unknown): DependencyError {
  const what = isMissing(name)
    ? `is needed for ${purpose} and is not installed: npm install ${name}`
    : `is needed for ${purpose} and cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new DependencyError(`${wanted}: ${what}`, wanted, { cause });
}

function isMissing(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return false;
  } catch (error) {
    // A package that is there may export nothing to require(); that is another code.
    return (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
  }
}
