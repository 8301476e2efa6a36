/**
 * Opens maildrops: password at the directory, lock by lease, snapshot and bytes from the mailstore.
 *
 * The lock is a lease of this process: it ends soon after the process does, and a session that lost it removes nothing.
 */
import type { Blobs } from '@postbus/blobs'
import type { Bus, Lease } from '@postbus/bus'
import {
  authenticate,
  expungeMessages,
  fetchMessages,
  openMailbox,
  renewToken,
  type SectionBytes,
} from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'

import { Maildrop, type MaildropMessage } from '../maildrop.ts'
import type { Login } from '../session.ts'

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
const UIDS_PER_REMOVAL = 10_000

export class Maildrops {
  readonly #bus: Bus
  readonly #blobs: Blobs
  readonly #options: MaildropsOptions

  constructor(bus: Bus, blobs: Blobs, options: MaildropsOptions) {
    this.#bus = bus
    this.#blobs = blobs
    this.#options = options
  }

  async login(username: string, password: string, clientAddress: string): Promise<Login> {
    if (username === '') return { kind: 'refused', delayMs: 0 }
    const answer = await this.#bus.request(authenticate, { username, password, clientAddress, service: 'pop3' })
    if (answer.kind === 'refused') return answer
    if (answer.kind === 'throttled') return { kind: 'throttled' }
    const lease = await this.#lock(answer.account)
    if (lease === null) return { kind: 'inUse' }
    const token = new Token(this.#bus, answer.token, answer.tokenExpiresInMs)
    try {
      const maildrop = await this.#open(token, lease)
      return { kind: 'opened', maildrop, release: () => lease.release() }
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

  async #open(token: Token, lease: Lease): Promise<Maildrop> {
    let mailbox: { mailbox: number; uidValidity: number } | undefined
    let uids = NumberSet.empty
    // Read only: POP3 knows no \Recent, and must not take it from IMAP sessions.
    for await (const { row } of this.#bus.rows(openMailbox, {
      token: await token.value(),
      name: 'INBOX',
      readOnly: true,
    })) {
      if (row.kind === 'mailbox') mailbox = row.info
      else uids = uids.union(NumberSet.parse(row.uids))
    }
    if (mailbox === undefined) throw new Error('the mailstore opened nothing')
    const { mailbox: key, uidValidity } = mailbox
    const messages: MaildropMessage[] = []
    const want = { size: true }
    if (uids.size > 0) {
      const rows = this.#bus.rows(fetchMessages, {
        token: await token.value(),
        mailbox: key,
        uids: uids.toString(),
        want,
      })
      for await (const { row } of rows) messages.push({ uid: row.uid, size: row.size ?? 0 })
    }
    return new Maildrop({
      uidValidity,
      messages,
      read: (uid) => this.#read(token, key, uid),
      remove: async (gone) => {
        if (lease.lost.aborted) throw new Error('the lock on the maildrop was lost')
        for (let from = 0; from < gone.length; from += UIDS_PER_REMOVAL) {
          const set = NumberSet.from(gone.slice(from, from + UIDS_PER_REMOVAL)).toString()
          await this.#bus.request(expungeMessages, { token: await token.value(), mailbox: key, uids: set, any: true })
        }
      },
    })
  }

  async *#read(token: Token, mailbox: number, uid: number): AsyncIterable<Uint8Array> {
    const want = { sections: [{ part: '', kind: 'all' as const }] }
    const rows = this.#bus.rows(fetchMessages, { token: await token.value(), mailbox, uids: String(uid), want })
    for await (const { row, bytes } of rows) {
      const section = row.sections?.[0]
      if (section !== undefined) return yield* this.#bytesOf(section, bytes)
    }
    throw new Error(`message ${uid} is gone`)
  }

  async *#bytesOf(section: SectionBytes, bytes: Uint8Array[]): AsyncIterable<Uint8Array> {
    const [first] = bytes
    if (section.kind !== 'inline' && section.kind !== 'blob') return
    if (first !== undefined && (section.kind === 'inline' || section.lead)) yield first
    if (section.kind === 'blob')
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

const renewalOf = (expiresInMs: number): number => performance.now() + expiresInMs * (1 - RENEW_AT)
