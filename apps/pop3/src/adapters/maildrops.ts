/**
 * Opens maildrops: lock by lease, snapshot and bytes from the mailstore.
 *
 * The lock is a lease of this process: it ends soon after the process does, and a session that lost it removes nothing.
 */
import type { Blobs } from '@postbus/blobs'
import type { Bus, Lease } from '@postbus/bus'
import {
  expungeMessages,
  fetchedMessages,
  type FetchedSection,
  fetchMessages,
  mailboxStatus,
  renewToken,
  storeFlags,
} from '@postbus/contracts'
import type { Granted } from '@postbus/directory-client'
import { NumberSet } from '@postbus/imap-wire'

import { Maildrop, MessageGone, Snapshot } from '../maildrop.ts'
import type { OpenMaildrop } from '../session.ts'

export interface MaildropsOptions {
  /** A lock whose process died is free after so long. */
  lockMs: number
  /** Aborted when the service stops. */
  signal: AbortSignal
}

/** Longer than a lock takes to be found dead. */
const LOCK_PATIENCE = 1.5
/** A token is renewed when this part of its life is left. */
const RENEW_AT = 0.3
/** Of one request. */
const MAX_UIDS = 10_000

export class Maildrops {
  readonly #bus: Bus
  readonly #blobs: Blobs
  readonly #options: MaildropsOptions

  constructor(bus: Bus, blobs: Blobs, options: MaildropsOptions) {
    this.#bus = bus
    this.#blobs = blobs
    this.#options = options
  }

  /** Null: another session has it. */
  async open({ account, token, tokenExpiresInMs }: Granted): Promise<OpenMaildrop | null> {
    const lease = await this.#lock(account)
    if (lease === null) return null
    try {
      const maildrop = await this.#open(new Token(this.#bus, token, tokenExpiresInMs), lease)
      return { maildrop, release: () => lease.release() }
    } catch (error) {
      await lease.release()
      throw error
    }
  }

  async #lock(account: string): Promise<Lease | null> {
    const { lockMs, signal } = this.#options
    const patience = AbortSignal.timeout(lockMs * LOCK_PATIENCE)
    try {
      return await this.#bus.acquireLease(`maildrop.${account}`, {
        ttlMs: lockMs,
        signal: AbortSignal.any([patience, signal]),
      })
    } catch (error) {
      if (patience.aborted) return null
      throw error
    }
  }

  /** What comes while the rows are read has a higher UID and is not of this session. */
  async #open(token: Token, lease: Lease): Promise<Maildrop> {
    const named = { token: await token.value(), name: 'INBOX' }
    const { mailbox, uidValidity, uidNext, messages } = await this.#bus.request(mailboxStatus, named)
    const snapshot = new Snapshot()
    if (messages > 0) {
      const all = { token: await token.value(), mailbox, uids: `1:${uidNext - 1}`, want: { size: true } }
      for await (const { row, bytes } of this.#bus.rows(fetchMessages, all)) {
        for (const { uid, size = 0 } of fetchedMessages(row, bytes)) snapshot.add(uid, size)
      }
    }
    return new Maildrop({
      uidValidity,
      snapshot,
      read: (uid) => this.#read(token, mailbox, uid),
      remove: async (gone) => {
        if (lease.lost.aborted) throw new Error('the lock on the maildrop was lost')
        for (const uids of setsOf(gone)) {
          await this.#bus.request(expungeMessages, { token: await token.value(), mailbox, uids, any: true })
        }
      },
      markRead: async (read) => {
        for (const uids of setsOf(read)) {
          const seen = { token: await token.value(), mailbox, uids, mode: 'add' as const, flags: ['\\Seen'] }
          for await (const _ of this.#bus.rows(storeFlags, seen));
        }
      },
    })
  }

  async *#read(token: Token, mailbox: number, uid: number): AsyncIterable<Uint8Array> {
    const want = { sections: [{ part: '', kind: 'all' as const }] }
    const rows = this.#bus.rows(fetchMessages, { token: await token.value(), mailbox, uids: String(uid), want })
    for await (const { row, bytes } of rows) {
      for (const { sections = [] } of fetchedMessages(row, bytes)) {
        const [section] = sections
        if (section !== undefined) return yield* this.#bytesOf(section)
      }
    }
    throw new MessageGone(`message ${uid} is gone`)
  }

  async *#bytesOf(section: FetchedSection): AsyncIterable<Uint8Array> {
    if (section.kind === 'inline') yield section.octets
    if (section.kind !== 'blob') return
    yield section.lead
    yield* this.#blobs.read(section.blob, { offset: section.offset, length: section.length })
  }
}

/** A session token that stays valid as long as the directory agrees. */
class Token {
  readonly #bus: Bus
  #token: string
  #renewAt: number

  constructor(bus: Bus, token: string, expiresInMs: number) {
    this.#bus = bus
    this.#token = token
    this.#renewAt = renewalOf(expiresInMs)
  }

  async value(): Promise<string> {
    if (performance.now() < this.#renewAt) return this.#token
    const { token, tokenExpiresInMs } = await this.#bus.request(renewToken, { token: this.#token })
    this.#token = token
    this.#renewAt = renewalOf(tokenExpiresInMs)
    return token
  }
}

function* setsOf(uids: readonly number[]): Iterable<string> {
  for (let from = 0; from < uids.length; from += MAX_UIDS) {
    yield NumberSet.from(uids.slice(from, from + MAX_UIDS)).toString()
  }
}

const renewalOf = (expiresInMs: number): number => performance.now() + expiresInMs * (1 - RENEW_AT)
