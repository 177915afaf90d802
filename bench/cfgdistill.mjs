// The built library, for everything in this folder: bench/package.json makes it a package of its own, from which the
// name 'cfgdistill' leads nowhere.
export * from '../dist/index.mjs';
