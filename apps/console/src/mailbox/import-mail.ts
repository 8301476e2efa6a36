/**
 * Takes the mail of a source into an account: mailboxes are made, messages appended in batches with their flags and dates, in
 * their order. What is broken off goes on where it was (see journal.ts); the same call later takes what came meanwhile.
 */
import type { MailboxInfo } from '@postbus/contracts'

import type { Intent, Journal } from './journal.ts'
import { type MailSource, MessageUnreadable, type Octets, type SourceMailbox, type SourceMessage } from './mail.ts'

/** The account as it is written to. */
export interface ImportTarget {
  mailboxes(): Promise<MailboxInfo[]>
  create(name: string, specialUse: string | null): Promise<MailboxInfo>
  subscribe(name: string): Promise<void>
  /** Bytes on their way, or in hand where they are few; durable only once they are appended. */
  stage(octets: Octets): Promise<Staged>
  discard(staged: readonly Staged[]): Promise<void>
  /** All or none. @returns the UID after the last of them @throws Refused */
  append(name: string, messages: readonly NewMessage[]): Promise<number>
  /** The messages from this UID on, in their order; none when the mailbox is another one by now. */
  since(name: string, uidValidity: number, uid: number): Promise<{ size: number; internalDate: string }[]>
}

/** `octets` in base64. */
export type Staged = { blob: string; size: number } | { octets: string; size: number }

export type NewMessage = Staged & {
  flags: string[]
  internalDate: Date | null
}

/** The mailstore said no: to this message or to all of them. */
export class Refused extends Error {
  override readonly name = 'Refused'
  /** No use going on: the account is full. */
  readonly final: boolean

  constructor(message: string, final: boolean, options?: ErrorOptions) {
    super(message, options)
    this.final = final
  }
}

/** A name that was given is none of the source's. */
export class NoSuchMailbox extends Error {
  override readonly name = 'NoSuchMailbox'

  constructor(only: readonly string[]) {
    super(`there is no mailbox ${only.join(', ')}`)
  }
}

export interface ImportOptions {
  /** Names of the source; empty: all. `Work/*` includes what is below. */
  only: readonly string[]
  /** A mailbox everything goes below; INBOX becomes it. */
  into: string | null
  dryRun: boolean
  onProgress(progress: { mailbox: string; done: number; total: number | null; bytes: number }): void
}

export interface Imported {
  mailboxes: { from: string; to: string; messages: number; bytes: number; taken: number }[]
  failed: { mailbox: string; key?: string; reason: string }[]
}

const BATCH_MESSAGES = 100
const BATCH_BYTES = 16 * 1024 * 1024
/** Of those that travel in the request. */
const BATCH_HELD_BYTES = 256 * 1024
/** What a message may fail with before its mailbox is left. */
const MAX_FAILED = 1000

/**
 * @param journal null in a dry run of an import that never ran
 * @throws NoSuchMailbox when `only` names none of the source's
 */
export async function importMail(
  source: MailSource,
  target: ImportTarget,
  journal: Journal | null,
  options: ImportOptions,
): Promise<Imported> {
  const run = new Run(target, journal, options)
  await run.settleLast()
  let chosen = 0
  for await (const mailbox of source.mailboxes()) {
    if (!isChosen(options.only, mailbox.name)) continue
    chosen++
    if (!(await run.take(mailbox))) break
  }
  if (chosen === 0 && options.only.length > 0) throw new NoSuchMailbox(options.only)
  return run.result
}

/** @param only patterns; empty: all */
export const isChosen = (only: readonly string[], mailbox: string): boolean =>
  only.length === 0 || only.some((pattern) => names(pattern, mailbox))

const names = (pattern: string, mailbox: string): boolean =>
  pattern === mailbox || (pattern.endsWith('*') && mailbox.startsWith(pattern.slice(0, -1)))

export function targetName(name: string, into: string | null): string {
  if (into === null) return name
  return name.toUpperCase() === 'INBOX' ? into : `${into}/${name}`
}

interface Place {
  from: string
  to: string
  info: MailboxInfo | null
  uidNext: number
}

interface Batch {
  keys: string[]
  messages: NewMessage[]
}

interface Waiting extends Batch {
  bytes: number
  heldBytes: number
}

const noneYet = (): Waiting => ({ keys: [], messages: [], bytes: 0, heldBytes: 0 })

const isFull = ({ messages, bytes, heldBytes }: Waiting): boolean =>
  messages.length >= BATCH_MESSAGES || bytes >= BATCH_BYTES || heldBytes >= BATCH_HELD_BYTES

class Run {
  readonly result: Imported = { mailboxes: [], failed: [] }
  readonly #target: ImportTarget
  readonly #journal: Journal | null
  readonly #options: ImportOptions
  #there: Map<string, MailboxInfo> | null = null

  constructor(target: ImportTarget, journal: Journal | null, options: ImportOptions) {
    this.#target = target
    this.#journal = journal
    this.#options = options
  }

  /** The append during which the last call ended: was it done? Messages of these sizes and dates, one after the other, say so. */
  async settleLast(): Promise<void> {
    const intent = this.#journal?.unknown ?? null
    if (intent === null || this.#options.dryRun) return
    const { to, uidValidity, uidNext, messages } = intent
    const there = await this.#target.since(to, uidValidity, uidNext)
    const isThere = ({ size, internalDate }: Intent['messages'][number], at: number): boolean =>
      there[at]?.size === size && (internalDate === null || there[at]?.internalDate === internalDate)
    const done = there.some((_, at) => messages.every((message, index) => isThere(message, at + index)))
    await this.#journal?.end(done)
  }

  /** @returns whether it is of use to go on */
  async take(mailbox: SourceMailbox): Promise<boolean> {
    const to = targetName(mailbox.name, this.#options.into)
    const counted = { from: mailbox.name, to, messages: 0, bytes: 0, taken: 0 }
    this.result.mailboxes.push(counted)
    try {
      const info = this.#options.dryRun ? null : await this.#mailbox(to, mailbox)
      await this.#messages(mailbox, to, counted, info)
      return true
    } catch (error) {
      if (!(error instanceof Refused || error instanceof MessageUnreadable)) throw error
      this.result.failed.push({ mailbox: mailbox.name, reason: error.message })
      return !(error instanceof Refused && error.final)
    }
  }

  async #mailbox(to: string, { specialUse, subscribed }: SourceMailbox): Promise<MailboxInfo> {
    this.#there ??= new Map((await this.#target.mailboxes()).map((info) => [info.name, info]))
    const known = this.#there.get(to)
    if (known !== undefined) return known
    // An account has one mailbox for drafts.
    const uses = new Set([...this.#there.values()].flatMap((info) => info.specialUse))
    const created = await this.#target.create(to, specialUse !== null && !uses.has(specialUse) ? specialUse : null)
    // The levels above it were made as well.
    this.#there = null
    if (subscribed) await this.#target.subscribe(to)
    return created
  }

  async #messages(
    mailbox: SourceMailbox,
    to: string,
    counted: Imported['mailboxes'][number],
    info: MailboxInfo | null,
  ): Promise<void> {
    const { name: from, count } = mailbox
    const isTaken = (key: string): boolean => {
      const taken = this.#journal?.isTaken(from, key) ?? false
      if (taken) counted.taken++
      return taken
    }
    const place: Place = { from, to, info, uidNext: info?.uidNext ?? 1 }
    let waiting = noneYet()
    /** One batch is appended while the next one is read. */
    let appending: Promise<void> = Promise.resolve()
    const told = (): void => {
      const done = counted.taken + counted.messages + waiting.messages.length
      const bytes = counted.bytes + waiting.bytes
      this.#options.onProgress({ mailbox: from, done, total: count, bytes })
    }
    try {
      for await (const message of mailbox.messages(isTaken)) {
        if (this.#options.dryRun) {
          counted.messages++
          counted.bytes += message.size ?? (await sizeOf(message))
          told()
          continue
        }
        const staged = await this.#staged(from, message)
        if (staged === null) continue
        waiting.keys.push(message.key)
        waiting.messages.push({ ...staged, flags: message.flags, internalDate: message.internalDate })
        waiting.bytes += staged.size
        if ('octets' in staged) waiting.heldBytes += staged.size
        told()
        if (!isFull(waiting)) continue
        await appending
        appending = this.#append(place, waiting, counted)
        // Waited for above or below, once the next batch is there.
        appending.catch(() => {})
        waiting = noneYet()
      }
      await appending
      if (waiting.messages.length === 0) return
      appending = this.#append(place, waiting, counted)
      waiting = noneYet()
      await appending
    } finally {
      await Promise.allSettled([appending])
      await this.#target.discard(waiting.messages)
    }
  }

  async #staged(from: string, { key, octets }: SourceMessage): Promise<Staged | null> {
    try {
      return await this.#target.stage(octets)
    } catch (error) {
      if (!(error instanceof MessageUnreadable)) throw error
      this.#failed(from, key, error.message)
      return null
    }
  }

  async #append(place: Place, { keys, messages }: Batch, counted: Imported['mailboxes'][number]): Promise<void> {
    const { from, to, uidNext } = place
    const marks = messages.map(({ size, internalDate }) => ({ size, internalDate: secondsOf(internalDate) }))
    const uidValidity = place.info?.uidValidity ?? 0
    await this.#journal?.begin({ from, keys, to, uidValidity, uidNext, messages: marks })
    try {
      place.uidNext = await this.#target.append(to, messages)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      await this.#journal?.end(false)
      const [only] = keys
      if (error.final || keys.length === 0) {
        await this.#target.discard(messages)
        throw error
      }
      if (keys.length === 1 && only !== undefined) {
        await this.#target.discard(messages)
        return this.#failed(from, only, error.message)
      }
      // One of them is at fault: each by itself.
      for (const [index, message] of messages.entries()) {
        await this.#append(place, { keys: keys.slice(index, index + 1), messages: [message] }, counted)
      }
      return
    }
    await this.#journal?.end(true)
    counted.messages += messages.length
    counted.bytes += messages.reduce((sum, { size }) => sum + size, 0)
  }

  #failed(mailbox: string, key: string, reason: string): void {
    this.result.failed.push({ mailbox, key, reason })
    if (this.result.failed.length > MAX_FAILED) throw new Refused(`more than ${MAX_FAILED} messages failed`, true)
  }
}

/** IMAP's dates know no parts of a second. */
const secondsOf = (date: Date | null): string | null =>
  date === null ? null : new Date(Math.floor(date.getTime() / 1000) * 1000).toISOString()

async function sizeOf({ octets }: SourceMessage): Promise<number> {
  let size = 0
  try {
    for await (const chunk of octets) size += chunk.length
  } catch (error) {
    if (!(error instanceof MessageUnreadable)) throw error
  }
  return size
}
