/**
 * What the books say of a message and what streams hold, asked on the bus as the `postbus` command asks: for who looks again and again,
 * since a command is a process each time. What an operator is told in the end is still read with the command.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { inboxPrefix, where } from '@postbus/contracts'

import type { Ready } from './platform.ts'

type At = Pick<Ready, 'data' | 'bus'>

/** @returns null where nobody answers, or the books do not know it yet */
export async function inTheBooks(at: At, queueId: string) {
  try {
    return await asOperator(at, async (connection) => {
      const answer = await connection.request(where.subject, JSON.stringify({ queueId }), { timeout: where.timeoutMs })
      return where.output.parse(answer.json())
    })
  } catch {
    return null
  }
}

/** How many messages these streams hold, all together. @throws when the broker cannot be asked */
export function messagesIn(at: At, streams: readonly string[]): Promise<number> {
  return asOperator(at, async (connection) => {
    let count = 0
    for (const stream of streams) {
      const answer = await connection.request(`$JS.API.STREAM.INFO.${stream}`)
      count += answer.json<{ state: { messages: number } }>().state.messages
    }
    return count
  })
}

async function asOperator<T>({ data, bus }: At, work: (connection: NatsConnection) => Promise<T>): Promise<T> {
  const access = JSON.parse(await readFile(join(data, 'postbus.json'), 'utf8')) as { operatorNkeyFile: string } // The start tool's.
  const seed = (await readFile(access.operatorNkeyFile, 'utf8')).trim()
  const connection = await connect({
    servers: bus.url.split(','),
    ...(bus.ca !== null && { tls: { caFile: bus.ca } }),
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    inboxPrefix: inboxPrefix('operator'),
  })
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}
