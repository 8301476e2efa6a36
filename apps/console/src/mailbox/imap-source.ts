/**
 * Pulls from another IMAP server. Mailboxes are opened read-only: nothing there is marked as seen. Small messages come many at
 * a time, large ones as a stream.
 */
import type { ImapFlow, ListResponse } from 'imapflow'

import { type MailSource, MessageUnreadable, type Octets, type SourceMailbox, type SourceMessage } from './mail.ts'

/** Of the whole command FETCH. */
const BATCH_MESSAGES = 100
const BATCH_BYTES = 4 * 1024 * 1024
const LARGE_BYTES = 1024 * 1024
/** UIDs whose flags, dates and sizes are asked for at once. */
const FACTS_PAGE = 2000

interface Facts {
  uid: number
  flags: string[]
  internalDate: Date | null
  size: number
}

/** @param client connected; closed with the source. @param id host and user */
export function imapSource(client: ImapFlow, id: string): MailSource {
  return {
    id: `imap ${id}`,
    async *mailboxes() {
      const listed = await client.list({ statusQuery: { messages: true } })
      for (const mailbox of listed) {
        if (!isSelectable(mailbox)) continue
        yield {
          name: nameOf(mailbox, client.namespace ? client.namespace.prefix : ''),
          // By its name alone it is only somebody's guess.
          specialUse: mailbox.specialUseSource === 'extension' ? (mailbox.specialUse ?? null) : null,
          subscribed: mailbox.subscribed,
          count: mailbox.status?.messages ?? null,
          messages: (isTaken) => messagesOf(client, mailbox.path, isTaken),
        } satisfies SourceMailbox
      }
    },
    close: () => client.logout(),
  }
}

/** Views of what is in other mailboxes are left out — RFC 6154 §2. */
function isSelectable({ flags, specialUse }: ListResponse): boolean {
  const names = new Set([...flags].map((flag) => flag.toLowerCase()))
  if (names.has('\\noselect') || names.has('\\nonexistent')) return false
  return specialUse !== '\\All' && specialUse !== '\\Flagged'
}

/** Where everything is below INBOX only because the server is made so (Courier, Cyrus), that level goes. */
function nameOf({ path, delimiter }: ListResponse, prefix: string): string {
  const below =
    prefix !== '' && path.startsWith(prefix) && path.length > prefix.length ? path.slice(prefix.length) : path
  if (delimiter === '/' || !delimiter) return below
  return below
    .split(delimiter)
    .map((level) => level.replaceAll('/', '_'))
    .join('/')
}

async function* messagesOf(
  client: ImapFlow,
  path: string,
  isTaken: (key: string) => boolean,
): AsyncGenerator<SourceMessage> {
  const { uidValidity, exists } = await client.mailboxOpen(path, { readOnly: true })
  if (exists === 0) return
  const keyOf = (uid: number): string => `${uidValidity}.${uid}`
  const uids = (await client.search({ all: true }, { uid: true })) || []
  const wanted = uids.filter((uid) => !isTaken(keyOf(uid)))
  for (let from = 0; from < wanted.length; from += FACTS_PAGE) {
    const facts = await factsOf(client, wanted.slice(from, from + FACTS_PAGE))
    for (const batch of batches(facts)) {
      const bytes = await bytesOf(client, batch)
      for (const { uid, ...message } of batch) {
        const octets = bytes === null ? streamOf(client, uid) : heldOf(bytes.get(uid), uid)
        yield { key: keyOf(uid), ...message, octets }
      }
    }
  }
}

async function factsOf(client: ImapFlow, uids: readonly number[]): Promise<Facts[]> {
  const found: Facts[] = []
  const query = { uid: true, flags: true, internalDate: true, size: true }
  for await (const { uid, flags, internalDate, size } of client.fetch(uids.join(','), query, { uid: true })) {
    found.push({
      uid,
      flags: [...(flags ?? [])].filter((flag) => flag.toLowerCase() !== '\\recent'),
      internalDate: internalDate === undefined ? null : new Date(internalDate),
      size: size ?? 0,
    })
  }
  return found.toSorted((a, b) => a.uid - b.uid)
}

/** A large message is a batch of its own. */
function* batches(facts: readonly Facts[]): Generator<Facts[]> {
  let batch: Facts[] = []
  let bytes = 0
  for (const message of facts) {
    const isFull = batch.length === BATCH_MESSAGES || bytes + message.size > BATCH_BYTES
    if (batch.length > 0 && (isFull || message.size > LARGE_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(message)
    bytes += message.size
    if (message.size <= LARGE_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** Null: to be streamed. */
async function bytesOf(client: ImapFlow, batch: readonly Facts[]): Promise<Map<number, Buffer> | null> {
  const [only] = batch
  if (only !== undefined && only.size > LARGE_BYTES) return null
  const found = new Map<number, Buffer>()
  const uids = batch.map(({ uid }) => uid).join(',')
  for await (const { uid, source } of client.fetch(uids, { uid: true, source: true }, { uid: true })) {
    if (source !== undefined) found.set(uid, source)
  }
  return found
}

async function* heldOf(bytes: Buffer | undefined, uid: number): Octets {
  if (bytes === undefined) throw new MessageUnreadable(`the server does not give message ${uid}`)
  yield bytes
}

async function* streamOf(client: ImapFlow, uid: number): Octets {
  const { content } = await client.download(String(uid), undefined, { uid: true })
  if (content === undefined) throw new MessageUnreadable(`the server does not give message ${uid}`)
  yield* content as AsyncIterable<Uint8Array>
}
