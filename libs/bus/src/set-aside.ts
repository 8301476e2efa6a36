/**
 * Takes what a nats-server cannot open out of its way. JetStream does not flush its files at once, so a machine that lost power
 * may leave a consumer or a stream whose state is zeros, and the server then refuses to make it anew. What stood there is
 * work that custody publishes again; the files are kept beside the store for whoever wants to look.
 */
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'

import { ACCOUNT } from '@postbus/contracts'

/** A stream, or one consumer of it. */
export interface BrokenState {
  stream: string
  consumer?: string
}

/** @returns where it was put; null when the server has nothing of the kind on this disk */
export async function setAside(storeDir: string, { stream, consumer }: BrokenState): Promise<string | null> {
  const directory = join(storeDir, 'jetstream', ACCOUNT, 'streams', stream, ...(consumer ? ['obs', consumer] : []))
  const kept = join(storeDir, 'set-aside', `${consumer ? `${stream}.${consumer}` : stream}.${Date.now()}`)
  await mkdir(join(storeDir, 'set-aside'), { recursive: true })
  try {
    await rename(directory, kept)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  return kept
}
