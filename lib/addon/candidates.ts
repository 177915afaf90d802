import { join, resolve } from 'node:path';
import type { System } from './system.ts';

/**
 * The files that may be the addon, in the order in which they are tried: what was compiled on this machine, then what
 * came with the package. CFGDISTILL_ADDON, if set, stands for all of them.
 */
export function addonCandidates(
  root: string,
  { platform, arch, libc }: Pick<System, 'platform' | 'arch' | 'libc'>,
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  if (environment.CFGDISTILL_ADDON) return [resolve(environment.CFGDISTILL_ADDON)];
  const prebuilt = libc === null ? 'cfgdistill.node' : `cfgdistill.${libc}.node`;
  return [join(root, 'build', 'Release', 'cfgdistill.node'), join(root, 'prebuilds', `${platform}-${arch}`, prebuilt)];
}
