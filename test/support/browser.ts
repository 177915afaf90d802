import { existsSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';

/** Where systems keep Chromium. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'];

/** A headless Chromium of this machine, or why there is none. */
export async function launchChromium(): Promise<{ browser: Browser } | { missing: string }> {
  const executablePath = PATHS.find((path) => existsSync(path));
  if (executablePath === undefined) return { missing: `no Chromium at any of ${PATHS.join(', ')}` };
  try {
    const { chromium } = await import('playwright-core');
    // No sandbox: tests may run as root, and open only pages that they made themselves.
    return { browser: await chromium.launch({ executablePath, args: ['--no-sandbox', '--mute-audio'] }) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') {
      return { missing: 'playwright-core is not installed' };
    }
    return { missing: `${executablePath} does not start: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** What a page did that it should not: errors it met, and addresses it asked for beside its own. */
export interface Trouble {
  errors: string[];
  requests: string[];
}

/** Notes a page's trouble from now on. */
export function watch(page: Page): Trouble {
  const trouble: Trouble = { errors: [], requests: [] };
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) trouble.errors.push(message.text());
  });
  page.on('pageerror', (error) => trouble.errors.push(String(error)));
  page.on('request', (request) => {
    if (!request.isNavigationRequest()) trouble.requests.push(request.url());
  });
  return trouble;
}
