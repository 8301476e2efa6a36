/**
 * Foreign hashes are computed in JavaScript, some for a second: each on a thread of its own, so that no recipient waits for a
 * login. An account has one until its owner's next login only, so threads are not kept.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export async function verifyForeignHash(password: string, stored: string): Promise<boolean> {
  const url = new URL('./foreign-hash-thread.ts', import.meta.url)
  const thread = new Worker(url, { name: 'foreign-hash', workerData: { password, stored } })
  // Rejects with what the thread died of.
  const [right]: unknown[] = await once(thread, 'message')
  return right === true
}
