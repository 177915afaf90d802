import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Tests import the library by its own name; here that means its sources.
  resolve: {
    alias: [
      { find: /^cfgdistill$/, replacement: fileURLToPath(new URL('./lib/index.ts', import.meta.url)) },
      ...['tasks/chords', 'tasks/tunes', 'audio'].map((entry) => ({
        find: new RegExp(`^cfgdistill/${entry}$`),
        replacement: fileURLToPath(new URL(`./lib/${entry}/index.ts`, import.meta.url)),
      })),
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 60_000,
    maxWorkers: 2,
  },
});
