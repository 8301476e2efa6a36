/** One account's mailboxes, over the bus, with a token of the directory; message bytes beside it through the blobs. */
import { randomBytes } from 'node:crypto'

import type { Blobs } from '@postbus/blobs'
import { type Bus, RequestRefused } from '@postbus/bus'
import {
  type AccountId,
  appendMessages,
  checkAccount,
  createMailbox,
  type ExpungedMessage,
  fetchedMessages,
  type FetchedSection,
  fetchMessages,
  listExpunged,
  listMailboxes,
  type MailboxInfo,
  MAX_APPEND_INLINE_BYTES,
  openAccount,
  openMailbox,
  quotaOf,
  restoreExpunged,
  STAGED_PREFIX,
  subscribeMailbox,
} from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'

import type { ExportSource } from '../mailbox/export-mail.ts'
import { type ImportTarget, type NewMessage, Refused, type Staged } from '../mailbox/import-mail.ts'
import type { ExportedMessage, Octets } from '../mailbox/mail.ts'

/** A token is asked for anew when this part of its life is left. */
const RENEW_AT = 0.3
const WHOLE = { sections: [{ part: '', kind: 'all' as const }] }

export class Mailboxes implements ImportTarget, ExportSource {
  readonly account: AccountId
  readonly #bus: Bus
  readonly #blobs: Blobs
  readonly #asking: { address: string; by: string }
  #token: { value: string; renewAt: number }

  private constructor(bus: Bus, blobs: Blobs, asking: { address: string; by: string }, opened: Opened) {
    this.#bus = bus
    this.#blobs = blobs
    this.#asking = asking
    this.account = opened.account
    this.#token = tokenOf(opened)
  }

  /** @throws RequestRefused noSuchAccount */
  static async open(bus: Bus, blobs: Blobs, asking: { address: string; by: string }): Promise<Mailboxes> {
    return new Mailboxes(bus, blobs, asking, await bus.request(openAccount, asking))
  }

  async mailboxes(): Promise<MailboxInfo[]> {
    return (await this.#bus.request(listMailboxes, { token: await this.#value() })).mailboxes
  }

  async quota() {
    return this.#bus.request(quotaOf, { token: await this.#value() })
  }

  async create(name: string, specialUse: string | null): Promise<MailboxInfo> {
    const use = specialUse === null ? [] : [specialUse]
    return refusing(this.#bus.request(createMailbox, { token: await this.#value(), name, specialUse: use }))
  }

  async subscribe(name: string): Promise<void> {
    await refusing(this.#bus.request(subscribeMailbox, { token: await this.#value(), name, subscribed: true }))
  }

  async stage(octets: Octets): Promise<Staged> {
    const rest = octets[Symbol.asyncIterator]()
    const held: Uint8Array[] = []
    let heldBytes = 0
    for (;;) {
      const next = await rest.next()
      if (next.done === true) return { octets: Buffer.concat(held).toString('base64'), size: heldBytes }
      held.push(next.value)
      heldBytes += next.value.length
      if (heldBytes > MAX_APPEND_INLINE_BYTES) return this.#put(followed(held, rest))
    }
  }

  async #put(octets: Octets): Promise<Staged> {
    const blob = `${STAGED_PREFIX}${randomBytes(16).toString('hex')}`
    // Not durable yet: what the mailstore adopts, it makes so.
    const { size } = await this.#blobs.put(blob, octets, { durable: false })
    return { blob, size }
  }

  async discard(staged: readonly Staged[]): Promise<void> {
    // What cannot be deleted now is swept by age.
    const blobs = staged.flatMap((each) => ('blob' in each ? [each.blob] : []))
    await Promise.allSettled(blobs.map((blob) => this.#blobs.delete(blob)))
  }

  async append(name: string, messages: readonly NewMessage[]): Promise<number> {
    const request = this.#bus.request(appendMessages, {
      ...{ token: await this.#value(), name },
      messages: messages.map(({ internalDate, ...message }) => ({
        ...message,
        ...(internalDate !== null && { internalDate: internalDate.toISOString() }),
      })),
    })
    const { uids } = await refusing(request)
    return (NumberSet.parse(uids).last ?? 0) + 1
  }

  async since(name: string, uidValidity: number, uid: number): Promise<{ size: number; internalDate: string }[]> {
    const info = (await this.mailboxes()).find((mailbox) => mailbox.name === name)
    if (info === undefined || info.uidValidity !== uidValidity || info.uidNext <= uid) return []
    const found: { size: number; internalDate: string }[] = []
    const asked = { token: await this.#value(), mailbox: info.mailbox, uids: `${uid}:${info.uidNext}` }
    for await (const { row, bytes } of this.#bus.rows(fetchMessages, {
      ...asked,
      want: { size: true, internalDate: true },
    })) {
      for (const { size = 0, internalDate = 0 } of fetchedMessages(row, bytes)) {
        found.push({ size, internalDate: new Date(internalDate).toISOString() })
      }
    }
    return found
  }

  async uids({ name }: MailboxInfo): Promise<number[]> {
    const found: number[] = []
    const asked = { token: await this.#value(), name, readOnly: true }
    for await (const { row } of this.#bus.rows(openMailbox, asked)) {
      if (row.kind === 'uids') for (const uid of NumberSet.parse(row.uids)) found.push(uid)
    }
    return found
  }

  async *messages({ mailbox }: MailboxInfo, uids: readonly number[]): AsyncGenerator<ExportedMessage> {
    const set = NumberSet.from(uids).toString()
    const want = { flags: true, internalDate: true, size: true, ...WHOLE }
    const rows = this.#bus.rows(fetchMessages, { token: await this.#value(), mailbox, uids: set, want })
    for await (const { row, bytes } of rows) {
      for (const { uid, flags = [], size = 0, internalDate = 0, sections = [] } of fetchedMessages(row, bytes)) {
        yield { uid, flags, size, internalDate: new Date(internalDate), octets: this.#octetsOf(sections[0]) }
      }
    }
  }

  async *#octetsOf(section: FetchedSection | undefined): Octets {
    if (section?.kind === 'inline') yield section.octets
    if (section?.kind !== 'blob') return
    yield section.lead
    yield* this.#blobs.read(section.blob, { offset: section.offset, length: section.length })
  }

  async expunged(which: { mailbox?: string; since?: string }): Promise<ExpungedMessage[]> {
    const found: ExpungedMessage[] = []
    for await (const { row } of this.#bus.rows(listExpunged, { token: await this.#value(), ...which })) found.push(row)
    return found
  }

  async restore(ids: number[], to: string | undefined): Promise<number> {
    const asked = { token: await this.#value(), ids, ...(to !== undefined && { to }) }
    return (await this.#bus.request(restoreExpunged, asked)).restored
  }

  async *check(repair: boolean) {
    for await (const { row } of this.#bus.rows(checkAccount, { token: await this.#value(), repair })) yield row
  }

  async #value(): Promise<string> {
    if (performance.now() >= this.#token.renewAt) {
      this.#token = tokenOf(await this.#bus.request(openAccount, this.#asking))
    }
    return this.#token.value
  }
}

async function* followed(held: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): Octets {
  try {
    yield* held
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

interface Opened {
  account: AccountId
  token: string
  tokenExpiresInMs: number
}

const tokenOf = ({ token, tokenExpiresInMs }: Opened) => ({
  value: token,
  renewAt: performance.now() + tokenExpiresInMs * (1 - RENEW_AT),
})

/** What the mailstore says no to for good, as an import knows it. */
async function refusing<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    if (!(cause instanceof RequestRefused)) throw cause
    throw new Refused(`${cause.message} (${cause.code})`, ['overQuota', 'tokenInvalid'].includes(cause.code), { cause })
  }
}
