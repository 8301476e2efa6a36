/**
 * Statements that are on their way at the same time: one way to a server and back for all of them. When one fails, the others have
 * failed too before anything else is done.
 */
export async function together<R>(running: readonly Promise<R>[]): Promise<R[]> {
  await Promise.allSettled(running)
  return Promise.all(running)
}
