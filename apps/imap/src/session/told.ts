/**
 * Which state of which message the client has already been told, beyond the mailbox's MODSEQ it knows: a STORE answers for
 * itself, and the next look at the mailbox must not say it again.
 */
import { NumberSet } from '@postbus/imap-wire'

/** So many different MODSEQs are remembered; beyond that a client may be told something twice. */
const MAX_MODSEQS = 10_000

export class Told {
  /** Lists while they grow, sets once they are looked into. */
  readonly #byModseq = new Map<number, number[] | NumberSet>()

  note(uid: number, modseq: number): void {
    const known = this.#byModseq.get(modseq)
    if (Array.isArray(known)) known.push(uid)
    else if (known) this.#byModseq.set(modseq, known.union(NumberSet.from([uid])))
    else if (this.#byModseq.size < MAX_MODSEQS) this.#byModseq.set(modseq, [uid])
  }

  has(uid: number, modseq: number): boolean {
    const known = this.#byModseq.get(modseq)
    if (!known) return false
    const set = Array.isArray(known) ? NumberSet.from(known) : known
    this.#byModseq.set(modseq, set)
    return set.has(uid)
  }

  /** Everything up to this MODSEQ has been told by other means. */
  forget(upTo: number): void {
    for (const modseq of this.#byModseq.keys()) if (modseq <= upTo) this.#byModseq.delete(modseq)
  }
}
