/**
 * One loaded run of the platform whose every file operation is recorded, with the place in the log at which each 250 was read:
 * whatever is cut off behind that place, the message was promised.
 */
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { LOAD_SENDER, loadBody, loadMessage, smtpLoad } from '@postbus/testkit'
import { mountRecordingFs } from '@postbus/testkit/power-loss'

import { metric, startPlatform, until } from '../platform.ts'

export interface PromisedMessage {
  id: string
  queueId: string
  /** What was sent after DATA. */
  bytes(): Buffer
  /** Operations in the log when the 250 was read. */
  position: number
}

export interface Recording {
  log: string
  promised: PromisedMessage[]
  /** Operations in all, with the orderly stop at the end. */
  operations: number
}

/** Name of the data directory below the root of the file system. */
export const DATA = 'data'

/** Octets of body, and one in how many messages is like this. A segment, a segment and a blob, a file of its own. */
const KINDS = [
  { name: 'small', bytes: 2000, share: 0.8, sessions: 8 },
  { name: 'medium', bytes: 90_000, share: 0.12, sessions: 2 },
  { name: 'large', bytes: 400_000, share: 0.08, sessions: 2 },
]

/** The next round begins when the records of the last one are freed, so that every cut finds mail in every state. */
const ROUNDS = 5
const FREED_MS = 240_000

export async function recordRun(t: TestContext, dir: string, messages: number, args: string[]): Promise<Recording> {
  const fs = await mountRecordingFs(t, dir)
  const promised: PromisedMessage[] = []
  try {
    const platform = await startPlatform(t, { data: join(fs.mountPoint, DATA), args })
    const { host, ports, accounts } = platform.ready()
    const recipients = accounts.map(({ address }) => address)

    async function load(round: number): Promise<void> {
      await Promise.all(
        KINDS.map(async ({ name, bytes, share, sessions }) => {
          const prefix = `${name}-${round}`
          const body = loadBody(bytes)
          await smtpLoad({
            ...{ host, recipients, bytes, sessions, prefix, ledger: join(dir, `ledger-${name}`) },
            port: ports['mx'] ?? 0,
            messages: Math.ceil((messages * share) / ROUNDS),
            onReply(id, reply) {
              const position = fs.position()
              const recipient = recipients[Number(id.slice(prefix.length + 1)) % recipients.length] ?? ''
              const queueId = /queued as (\S+)/.exec(reply)?.[1] ?? ''
              const message = loadMessage({ id, sender: LOAD_SENDER, recipient }, body)
              promised.push({ id, queueId, position, bytes: () => Buffer.from(message, 'latin1') })
            },
          })
        }),
      )
    }

    for (let round = 1; round <= ROUNDS; round++) {
      await load(round)
      let freed = 0
      // Looking into the spool would flush what the platform had not.
      await until(
        async () =>
          (freed = await metric(platform.ready(), 'custody', 'mail_custody_freed_records_total')) >= promised.length,
        FREED_MS,
        () => `${freed} records of ${promised.length} freed\n${platform.output()}`,
      )
    }
    await platform.stop()
  } finally {
    // Before the directory it is mounted in is removed.
    await fs.unmount()
  }
  return { log: fs.log, promised, operations: fs.position() }
}
