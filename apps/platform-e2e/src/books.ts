/**
 * What the books say of a message, asked on the bus as the `postbus` command asks them: for who looks again and again, since a command
 * is a process each time. What an operator is told in the end is still read with the command.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { inboxPrefix, where } from '@postbus/contracts'

import type { Ready } from './platform.ts'

/** @returns null where nobody answers, or the books do not know it yet */
export async function inTheBooks({ data, bus }: Pick<Ready, 'data' | 'bus'>, queueId: string) {
  const access = JSON.parse(await readFile(join(data, 'postbus.json'), 'utf8')) as { operatorNkeyFile: string } // The start tool's.
  const seed = (await readFile(access.operatorNkeyFile, 'utf8')).trim()
  const connection = await connect({
    servers: bus.url.split(','),
    ...(bus.ca !== null && { tls: { caFile: bus.ca } }),
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    inboxPrefix: inboxPrefix('operator'),
  })
  try {
    const answer = await connection.request(where.subject, JSON.stringify({ queueId }), { timeout: where.timeoutMs })
    return where.output.parse(answer.json())
  } catch {
    return null
  } finally {
    await connection.close()
  }
}
