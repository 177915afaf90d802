/**
 * Whether the addon of this run was built with sanitizers (.ci/full), by name as g++ takes them: time and the memory of
 * the process then tell nothing.
 */
export const SANITIZED = process.env.CFGDISTILL_TEST_SANITIZE !== undefined;
