/**
 * The mailbox a session has selected, as its client knows it: which UIDs there are, and so every sequence number.
 *
 * It changes only when the client is told (EXISTS, EXPUNGE), so sequence numbers mean the same on both sides at every
 * moment. A mailbox of 100,000 messages is a few ranges here.
 *
 * STANDARDS  RFC 9051 §2.3.1, §6.4.4.1, §7.5.1; RFC 3501 §2.3.2 (\Recent); RFC 5182 §2.1
 */
import type { MailboxInfo } from '@postbus/contracts'
import {
  MAX_NUMBER,
  NumberSet,
  partOf,
  resolveSequenceSet,
  SEPARATOR,
  SYSTEM_FLAGS,
  type PartialRange,
  type SequenceSet,
} from '@postbus/imap-wire'

import { bad } from '../reply.ts'
import type { Enabled } from './enabled.ts'
import { Told } from './told.ts'

export interface Expunged {
  uids: NumberSet
  /** Their sequence numbers, highest first, each valid when the ones before it have been told. */
  numbers: Iterable<number>
}

export class SelectedMailbox {
  readonly mailbox: number
  readonly uidValidity: number
  readonly readOnly: boolean
  /** How its client is spoken to. */
  readonly enabled: Enabled
  readonly #told = new Told()
  /** UIDs, in the order of their sequence numbers. */
  #uids: NumberSet
  #recent: NumberSet
  #saved = NumberSet.empty
  #name: string
  readonly #flags: Map<string, string>
  #modseq: number
  #uidNext: number
  #changedAt: number | undefined
  #changes = 0
  #lookedAt = performance.now()
  /** Called when there is something to look at. */
  onChange: () => void = () => undefined

  constructor(
    info: MailboxInfo,
    uids: NumberSet,
    { recentFrom, readOnly, enabled }: { recentFrom: number; readOnly: boolean; enabled: Enabled },
  ) {
    this.mailbox = info.mailbox
    this.#name = info.name
    this.uidValidity = info.uidValidity
    this.readOnly = readOnly
    this.enabled = enabled
    this.#uids = uids
    this.#recent = uids.within(recentFrom, MAX_NUMBER)
    this.#flags = new Map([...SYSTEM_FLAGS, ...info.keywords].map((flag) => [flag.toLowerCase(), flag]))
    this.#modseq = info.highestModseq
    this.#uidNext = info.uidNext
  }

  get uids(): NumberSet {
    return this.#uids
  }

  /** Empty for a client that knows nothing of \Recent. */
  get recent(): NumberSet {
    return this.enabled.tellsRecent ? this.#recent : NumberSet.empty
  }

  /** The last search result that was to be kept: `$` — RFC 9051 §6.4.4.1, RFC 5182. */
  get saved(): NumberSet {
    return this.#saved
  }

  save(found: NumberSet): void {
    this.#saved = found
  }

  /** Everything up to this MODSEQ has been told. */
  get modseq(): number {
    return this.#modseq
  }

  get uidNext(): number {
    return this.#uidNext
  }

  /** Flags in use here, for the FLAGS response. */
  get flags(): string[] {
    return [...this.#flags.values()]
  }

  /** Whether something may have happened since the last look. */
  get changed(): boolean {
    return this.#changedAt !== undefined
  }

  /** How often it was heard that something may have happened. */
  get changes(): number {
    return this.#changes
  }

  /** When we first heard of it; of `performance.now`. */
  get changedAt(): number | undefined {
    return this.#changedAt
  }

  /** Whether the last look is longer ago than this. */
  lookedBefore(ms: number): boolean {
    return performance.now() - this.#lookedAt > ms
  }

  /** A hint: look again, unless all it says is known. */
  hint(highestModseq: number, uidNext: number): void {
    if (highestModseq > this.#modseq || uidNext > this.#uidNext) this.mayHaveChanged()
  }

  mayHaveChanged(): void {
    this.#changes++
    this.lookAgain()
    this.onChange()
  }

  /** A look failed: it is still to be had, at the looker's leisure. */
  lookAgain(): void {
    this.#changedAt ??= performance.now()
  }

  /** About to look. What happens from now on counts for the next look. */
  beginLook(): void {
    this.#changedAt = undefined
    this.#lookedAt = performance.now()
  }

  /** Undefined for a message the client does not know, or has been told is gone. */
  sequenceNumber(uid: number): number | undefined {
    return this.#uids.rankOf(uid)
  }

  /**
   * The UIDs a client means, as few ranges: messages that are gone may lie between them, ones it does not know do not.
   * @throws ImapError BAD for a sequence number beyond the last one, also `*` in an empty mailbox — RFC 9051 §9 (seq-number)
   */
  resolve(set: SequenceSet, byUid: boolean): NumberSet {
    if (set.kind === 'ranges' && !byUid) {
      const numbers = resolveSequenceSet(set, this.#uids.size)
      if (numbers.isEmpty || (numbers.last ?? 0) > this.#uids.size) throw bad('No message with this sequence number')
    }
    return this.match(set, byUid)
  }

  /** The same for a search, where a sequence number beyond the last one matches nothing, as in Dovecot. */
  match(set: SequenceSet, byUid: boolean): NumberSet {
    // Messages, however they are numbered; none is no error — RFC 5182 §2.1.
    if (set.kind === 'saved') return this.#saved
    const { first = 1, last = 0, size } = this.#uids
    if (byUid) return resolveSequenceSet(set, last).within(first, last)
    return NumberSet.fromRanges(this.#rangesOf(resolveSequenceSet(set, size).within(1, size)))
  }

  /** Of the UIDs a client means the part it asks for, counted among messages it knows; no more ranges than before. */
  partOf(named: NumberSet, range: PartialRange): NumberSet {
    const { first = 1, last = 0 } = partOf(named.intersect(this.#uids), range)
    return named.within(first, last)
  }

  /** The UIDs a client means, with those of messages that are gone: `*` is the highest there ever was. */
  resolveGone(set: SequenceSet): NumberSet {
    return set.kind === 'saved' ? this.#saved : resolveSequenceSet(set, this.#uidNext - 1)
  }

  /** `found`, UIDs of messages the client knows, as it wants them numbered. */
  numbered(found: NumberSet, byUid: boolean): NumberSet {
    if (byUid) return found
    const uids = this.#uids
    return NumberSet.fromRanges([...found.ranges()].map(([low, high]) => [uids.rank(low), uids.rank(high)]))
  }

  /** Takes messages away, also from the saved search result; those the client does not know are none of its business. */
  expunge(vanished: NumberSet): Expunged {
    const known = vanished.intersect(this.#uids)
    const before = this.#uids
    this.#uids = before.subtract(known)
    this.#recent = this.#recent.subtract(known)
    this.#saved = this.#saved.subtract(known)
    return { uids: known, numbers: descendingRanks(before, known) }
  }

  arrive(uids: NumberSet, recentFrom: number): void {
    this.#uids = this.#uids.union(uids)
    this.#recent = this.#recent.union(uids.within(recentFrom, MAX_NUMBER))
  }

  /** Everything up to here has been told. */
  lookedUpTo(modseq: number, uidNext: number): void {
    this.#modseq = Math.max(this.#modseq, modseq)
    this.#uidNext = Math.max(this.#uidNext, uidNext)
    this.#told.forget(this.#modseq)
  }

  /** A message's state at this MODSEQ was told by itself. */
  tell(uid: number, modseq: number): void {
    if (modseq > this.#modseq) this.#told.note(uid, modseq)
  }

  /** Whether the client knows this state of the message. */
  knows(uid: number, modseq: number): boolean {
    return modseq <= this.#modseq || this.#told.has(uid, modseq)
  }

  /** It, or a level above it, has another name now. */
  renamed(from: string, to: string): void {
    if (this.#name === from || this.#name.startsWith(`${from}${SEPARATOR}`))
      this.#name = to + this.#name.slice(from.length)
  }

  get name(): string {
    return this.#name
  }

  /** Whether one of these flags was not in use here before; then the client must learn of it first — RFC 9051 §7.3.5. */
  learn(flags: readonly string[]): boolean {
    const before = this.#flags.size
    for (const flag of flags) {
      const key = flag.toLowerCase()
      if (!this.#flags.has(key)) this.#flags.set(key, flag)
    }
    return this.#flags.size > before
  }

  *#rangesOf(numbers: NumberSet): Generator<readonly [number, number]> {
    for (const [low, high] of numbers.ranges()) yield [this.#uids.at(low) ?? 1, this.#uids.at(high) ?? 0]
  }
}

function* descendingRanks(uids: NumberSet, gone: NumberSet): Generator<number> {
  for (const uid of gone.descending()) yield uids.rank(uid)
}
