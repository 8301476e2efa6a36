/**
 * What is left of promised messages in a data directory after a loss of power, read with the platform's own code and nothing
 * running: each must stand in the spool, not freed, or in the mailstore, byte for byte.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { localBlobs } from '@postbus/blobs'
import { QueueId } from '@postbus/contracts'
import { openSpoolKeeper, openSpoolReader } from '@postbus/spool'

import type { PromisedMessage } from './recording.ts'

export interface Recovered {
  inSpool: number
  inMailbox: number
  /** Ids that stand in neither. */
  missing: string[]
  /** What else is wrong: databases, records listed and not readable. */
  damaged: string[]
}

export async function whatIsLeft(data: string, promised: readonly PromisedMessage[]): Promise<Recovered> {
  const damaged = damagedDatabases(join(data, 'db'))
  const spool = await spoolOf(data, damaged)
  const mailstore = mailstoreOf(data)
  const left: Recovered = { inSpool: 0, inMailbox: 0, missing: [], damaged }
  try {
    for (const message of promised) {
      const kept = [await spool.has(message), await mailstore.has(message)]
      if (kept[0]) left.inSpool++
      if (kept[1]) left.inMailbox++
      if (!kept.includes(true)) left.missing.push(message.id)
    }
  } finally {
    await spool.close()
    mailstore.close()
  }
  return left
}

function damagedDatabases(dir: string): string[] {
  const damaged: string[] = []
  for (const name of existsSync(dir) ? readdirSync(dir) : []) {
    if (!name.endsWith('.sqlite')) continue
    try {
      const db = new DatabaseSync(join(dir, name))
      const answer = db.prepare('pragma integrity_check').all()
      db.close()
      if (answer.length !== 1 || answer[0]?.['integrity_check'] !== 'ok') {
        damaged.push(`${name}: ${JSON.stringify(answer)}`)
      }
    } catch (error) {
      damaged.push(`${name}: ${String(error)}`)
    }
  }
  return damaged
}

interface Store {
  has(message: PromisedMessage): Promise<boolean>
}

async function spoolOf(data: string, damaged: string[]): Promise<Store & { close(): Promise<void> }> {
  const dir = join(data, 'spool')
  if (!existsSync(dir)) return { has: async () => false, close: async () => {} }
  const keeper = await openSpoolKeeper(dir, {
    onDamage: (queueId, cause) => damaged.push(`${queueId}: ${cause.message}`),
  })
  const reader = await openSpoolReader(dir)
  const listed = new Set<string>()
  for await (const { accepted } of keeper.list()) listed.add(accepted.queueId)
  return {
    async has({ queueId, bytes }) {
      if (!listed.has(queueId)) return false
      try {
        const record = await reader.open(QueueId.parse(queueId))
        const found = Buffer.concat(await Array.fromAsync(record.read()))
        await record.close()
        return endsWith(found, bytes())
      } catch (error) {
        damaged.push(`${queueId}: ${String(error)}`)
        return false
      }
    },
    async close() {
      await reader.close()
      await keeper.close()
    },
  }
}

interface Row {
  blob: string | null
  blob_offset: number
  header: Uint8Array
  bytes: Uint8Array | null
}

/** Reads the tables, as no program but the mailstore may: here it does not run. */
function mailstoreOf(data: string): Store & { close(): void } {
  const path = join(data, 'db', 'mailstore.sqlite')
  const nothing = { has: async () => false, close: () => {} }
  if (!existsSync(path)) return nothing
  const db = new DatabaseSync(path)
  const hasTables = db.prepare("select 1 from sqlite_schema where name = 'deliveries'").get() !== undefined
  if (!hasTables) {
    db.close()
    return nothing
  }
  const blobs = localBlobs(join(data, 'blobs'))
  const find = db.prepare(`
    select contents.blob, contents.blob_offset, contents.header, bodies.bytes
      from deliveries
      join messages on messages.mailbox = deliveries.mailbox and messages.uid = deliveries.uid
      join emails on emails.id = messages.email
      join contents on contents.id = emails.content
      left join bodies on bodies.content = contents.id
     where deliveries.queue_id = ?`)
  return {
    async has({ queueId, bytes }) {
      const row = find.get(queueId) as Row | undefined // as the statement names its columns
      if (row === undefined) return false
      if (row.blob === null) return endsWith(Buffer.concat([row.header, row.bytes ?? new Uint8Array()]), bytes())
      try {
        const pieces = await Array.fromAsync(blobs.read(row.blob, { offset: row.blob_offset }))
        return endsWith(Buffer.concat(pieces), bytes())
      } catch {
        return false
      }
    },
    close: () => db.close(),
  }
}

/** Trace header, then exactly what was sent. */
function endsWith(found: Uint8Array, sent: Buffer): boolean {
  return found.length > sent.length && sent.equals(found.subarray(found.length - sent.length))
}
