/** What stands in the accounts' mailboxes, read over IMAP as a client would. */
import { readFile } from 'node:fs/promises'

import { ImapFlow, type ImapFlowOptions } from 'imapflow'

import { until, type Ready } from './platform.ts'
import type { Account } from './postbus.ts'

const ARRIVAL_MS = 60_000

export async function imapClient(ready: Ready, address: string): Promise<ImapFlow> {
  const account = ready.accounts.find((candidate) => candidate.address === address)
  return imapClientOf(ready, account ?? { address, password: '' })
}

export async function imapClientOf(
  ready: Ready,
  { address, password }: Account,
  more: Partial<ImapFlowOptions> = {},
): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: 'localhost',
    port: ready.ports['imaps'] ?? 0,
    secure: true,
    tls: { ca: await readFile(ready.ca, 'utf8') },
    auth: { user: address, pass: password },
    logger: false,
    ...more,
  })
  await client.connect()
  return client
}

/**
 * How often each X-Load-Id stands in the INBOX of each account.
 * @param other told of each message that has none
 */
export async function loadIds(ready: Ready, other: () => void = () => {}): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { address } of ready.accounts) {
    const client = await imapClient(ready, address)
    try {
      const { exists } = await client.mailboxOpen('INBOX', { readOnly: true })
      if (exists === 0) continue
      for await (const { headers } of client.fetch('1:*', { headers: ['x-load-id'] })) {
        const id = /^x-load-id: *(\S+)/im.exec(headers?.toString() ?? '')?.[1]
        if (id === undefined) other()
        else counts.set(id, (counts.get(id) ?? 0) + 1)
      }
    } finally {
      await client.logout()
    }
  }
  return counts
}

export interface Verdict {
  missing: string[]
  duplicated: string[]
}

/** Compares what was promised with what stands in the mailboxes. */
export function compare(promised: Iterable<string>, found: Map<string, number>): Verdict {
  const missing = [...promised].filter((id) => !found.has(id))
  const duplicated = [...found].filter(([, count]) => count > 1).map(([id]) => id)
  return { missing, duplicated }
}

/** Whole messages of a mailbox in the order of their numbers, once so many have come. */
export async function messages(ready: Ready, account: Account, count: number, mailbox = 'INBOX'): Promise<Buffer[]> {
  const client = await imapClientOf(ready, account)
  try {
    await client.mailboxOpen(mailbox, { readOnly: true })
    const exists = (): number => (client.mailbox === false ? 0 : client.mailbox.exists)
    await until(
      async () => {
        await client.noop()
        return exists() >= count
      },
      ARRIVAL_MS,
      () => `${exists()} messages of ${count} in ${mailbox} of ${account.address}`,
    )
    const found: Buffer[] = []
    if (exists() === 0) return found
    for await (const { source } of client.fetch('1:*', { source: true })) if (source) found.push(source)
    return found
  } finally {
    await client.logout()
  }
}
