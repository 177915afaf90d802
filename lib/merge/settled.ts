/** Waits for all, also when one fails: buffers and files are in use until then. Rejects with the first failure. */
export async function settled(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
}
