/** One nkey for every party on the bus, made at the first start and kept in files only the owner may read. */
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createUser, fromSeed } from '@nats-io/nkeys'
import { identities, type Identity } from '@postbus/contracts'

import { writeDurably } from './durable-file.ts'

export interface Key {
  /** Path of the file that holds the seed. */
  seedFile: string
  publicKey: string
}

export async function keysOf(dir: string): Promise<Record<Identity, Key>> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const keys = await Promise.all(identities.map(async (name) => [name, await keyOf(join(dir, `${name}.nk`))] as const))
  return Object.fromEntries(keys) as Record<Identity, Key>
}

async function keyOf(seedFile: string): Promise<Key> {
  if (!existsSync(seedFile)) await writeDurably(seedFile, createUser().getSeed())
  const seed = await readFile(seedFile)
  return { seedFile, publicKey: fromSeed(new Uint8Array(Buffer.from(seed.toString('latin1').trim()))).getPublicKey() }
}
