/**
 * What was fetched of the messages of a mailbox, kept for whoever fetches it again: clients ask for the flags and structures
 * of whole mailboxes over and over.
 *
 * Everything known of a mailbox is what the mailstore said at its `modseq` or later. Before any of it is told, the mailstore is
 * asked what happened since (`catchUp`), so an answer is as new as if all of it had been asked for. What was read
 * while that moment moved on is not kept: nobody would say that it had changed in between.
 */
import type { FetchedMessage } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'

import type { Want } from './fetch-plan.ts'

const columns = [
  ...(['flags', 'internalDate', 'size', 'envelope'] as const),
  ...(['structure', 'basicStructure', 'saveDate', 'emailId'] as const),
] as const
export type Column = (typeof columns)[number]

/** Null: more than is kept. Octets of messages are not, they are long and seldom read twice. */
export function columnsOf(want: Want): Column[] | null {
  if (want.preview === true || (want.sections ?? []).length > 0) return null
  return columns.filter((column) => want[column] === true)
}

/** What happened in a mailbox since its `modseq`. */
export interface News {
  vanished: NumberSet
  changed: readonly { uid: number; modseq: number; flags: string[] }[]
  highestModseq: number
}

/** What a message takes beside its texts, about. */
const MESSAGE_COST = 200

type Known = { -readonly [Name in keyof FetchedMessage]: FetchedMessage[Name] }

export class KnownMailbox {
  #modseq: number
  #bytes = 0
  readonly key: string
  readonly #messages = new Map<number, Known>()
  /** UIDs that were asked for. One that is not among the messages is gone. */
  #asked = NumberSet.empty
  readonly #askedFor = new Map<Column, NumberSet>()

  /** @param modseq nothing is learned that is older */
  constructor(key: string, modseq: number) {
    this.key = key
    this.#modseq = modseq
  }

  /** Everything known is as of this MODSEQ, or newer. */
  get modseq(): number {
    return this.#modseq
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** Those UIDs of which all of this is known, or that they are gone. */
  covered(uids: NumberSet, wanted: readonly Column[]): NumberSet {
    let covered = uids.intersect(this.#asked)
    for (const column of wanted) covered = covered.intersect(this.#askedFor.get(column) ?? NumberSet.empty)
    return covered
  }

  *messages(uids: NumberSet): Generator<FetchedMessage> {
    for (const uid of uids) {
      const message = this.#messages.get(uid)
      if (message !== undefined) yield message
    }
  }

  /** @param modseq what `modseq` was when the message was asked for */
  learn(message: FetchedMessage, wanted: readonly Column[], modseq: number): void {
    if (modseq !== this.#modseq) return
    const known = this.#messages.get(message.uid)
    if (known === undefined) {
      this.#messages.set(message.uid, { ...message })
      this.#bytes += MESSAGE_COST + textsOf(message)
      return
    }
    this.#bytes -= textsOf(known)
    // Flags that are known stay as of their MODSEQ: the next news are to replace them.
    if (known.flags === undefined || wanted.includes('flags')) known.modseq = message.modseq
    const kept: Partial<Record<Column, unknown>> = known
    for (const column of wanted) kept[column] = message[column]
    this.#bytes += textsOf(known)
  }

  /** All of them were asked for, and what was said is learned. */
  learned(uids: NumberSet, wanted: readonly Column[], modseq: number): void {
    if (modseq !== this.#modseq) return
    this.#asked = this.#asked.union(uids)
    for (const column of wanted) this.#askedFor.set(column, (this.#askedFor.get(column) ?? NumberSet.empty).union(uids))
  }

  /** @param since what `modseq` was when it was asked what happened */
  catchUp({ vanished, changed, highestModseq }: News, since: number): void {
    // Of what happened before nobody has told.
    if (since > this.#modseq) return
    const sets = new Map<string, string[]>()
    for (const { uid, modseq, flags } of changed) {
      const known = this.#messages.get(uid)
      if (known === undefined || known.modseq > modseq) continue
      known.modseq = modseq
      if (known.flags !== undefined) known.flags = sets.getOrInsert(flags.join(' '), flags)
    }
    if (!vanished.isEmpty) this.#forget(vanished)
    this.#modseq = Math.max(this.#modseq, highestModseq)
  }

  #forget(vanished: NumberSet): void {
    for (const [uid, known] of this.#messages) {
      if (!vanished.has(uid)) continue
      this.#bytes -= MESSAGE_COST + textsOf(known)
      this.#messages.delete(uid)
    }
  }
}

function textsOf({ envelope = '', structure = '', basicStructure = '' }: FetchedMessage): number {
  return envelope.length + structure.length + basicStructure.length
}

export interface KnownLimits {
  /** Of all mailboxes together; 0: nothing is kept. */
  maxBytes: number
  /** Fewer messages than this are as quickly asked for. */
  fewest: number
}

export class KnownMessages {
  readonly limits: KnownLimits
  /** The one used last is the last. */
  readonly #mailboxes = new Map<string, { mailbox: KnownMailbox; bytes: number }>()
  /** What they took when each was last looked at. */
  #bytes = 0

  constructor(limits: KnownLimits) {
    this.limits = limits
  }

  /** What is known of it, perhaps nothing yet. @param modseq a moment in its past */
  of(account: string, mailbox: number, modseq: number): KnownMailbox {
    const key = `${account}/${mailbox}`
    const kept = this.#mailboxes.get(key) ?? { mailbox: new KnownMailbox(key, modseq), bytes: 0 }
    this.#mailboxes.delete(key)
    this.#mailboxes.set(key, kept)
    return kept.mailbox
  }

  /**
   * After something was learned: what was not used for longest goes, as far as there is too much.
   * @returns whether this one is still kept
   */
  keeps(mailbox: KnownMailbox): boolean {
    const own = this.#mailboxes.get(mailbox.key)
    if (own?.mailbox !== mailbox) return false
    this.#bytes += mailbox.bytes - own.bytes
    own.bytes = mailbox.bytes
    for (const [key, { bytes }] of this.#mailboxes) {
      if (this.#bytes <= this.limits.maxBytes && this.#mailboxes.size <= MAX_MAILBOXES) break
      this.#bytes -= bytes
      this.#mailboxes.delete(key)
    }
    return this.#mailboxes.get(mailbox.key) === own
  }
}

/** What is known of a mailbox takes some memory even if that is nothing. */
const MAX_MAILBOXES = 10_000
