/**
 * A maildrop: the messages of one INBOX as they were when the session began, and which of them it wants gone.
 *
 * Nothing is removed before QUIT; a session that ends otherwise removes nothing — RFC 1939 §6. Twelve octets and two bits for a
 * message: large maildrops are common, because POP3 clients that leave mail on the server never tidy up.
 *
 * STANDARDS  RFC 1939 §3–7
 */

export interface MaildropPorts {
  uidValidity: number
  snapshot: Snapshot
  /** @throws MessageGone before the first octet */
  read(uid: number): AsyncIterable<Uint8Array>
  remove(uids: readonly number[]): Promise<void>
  /** They were read: sets \Seen for clients of other protocols. */
  markRead(uids: readonly number[]): Promise<void>
}

/** Another session removed it since this one began. */
export class MessageGone extends Error {
  override readonly name = 'MessageGone'
}

export interface Listed {
  /** 1 is the first; stays the same for the whole session. */
  number: number
  uid: number
  /** Octets as sent, dot-stuffing not counted — RFC 1939 §11. */
  size: number
}

const FIRST_ROOM = 256

/** UIDs and sizes in the order of the mailbox. */
export class Snapshot {
  #uids = new Uint32Array(FIRST_ROOM)
  #sizes = new Float64Array(FIRST_ROOM)
  #length = 0

  static from(messages: Iterable<{ uid: number; size: number }>): Snapshot {
    const snapshot = new Snapshot()
    for (const { uid, size } of messages) snapshot.add(uid, size)
    return snapshot
  }

  get length(): number {
    return this.#length
  }

  add(uid: number, size: number): void {
    if (this.#length === this.#uids.length) {
      const [uids, sizes] = [this.#uids, this.#sizes]
      this.#uids = new Uint32Array(2 * this.#length)
      this.#sizes = new Float64Array(2 * this.#length)
      this.#uids.set(uids)
      this.#sizes.set(sizes)
    }
    this.#uids[this.#length] = uid
    this.#sizes[this.#length++] = size
  }

  /** @param index from 0, less than `length` */
  at(index: number): { uid: number; size: number } {
    return { uid: this.#uids[index] ?? 0, size: this.#sizes[index] ?? 0 }
  }
}

const DELETED = 1
const RETRIEVED = 2

export class Maildrop {
  readonly #ports: MaildropPorts
  readonly #marks: Uint8Array
  #count: number
  #size = 0

  constructor(ports: MaildropPorts) {
    this.#ports = ports
    this.#count = ports.snapshot.length
    this.#marks = new Uint8Array(this.#count)
    for (let index = 0; index < this.#count; index++) this.#size += ports.snapshot.at(index).size
  }

  /** Messages not marked as deleted, and their octets. */
  get count(): number {
    return this.#count
  }

  get size(): number {
    return this.#size
  }

  *list(): Iterable<Listed> {
    for (let number = 1; number <= this.#marks.length; number++) {
      const message = this.get(number)
      if (message !== null) yield message
    }
  }

  /** Null when there is no such message, or it is marked as deleted. */
  get(number: number): Listed | null {
    const mark = this.#marks[number - 1]
    if (mark === undefined || mark & DELETED) return null
    return { number, ...this.#ports.snapshot.at(number - 1) }
  }

  /** The same for ever: neither UIDVALIDITY nor UID is used again — RFC 1939 §7. */
  uidl({ uid }: Listed): string {
    return `${this.#ports.uidValidity}.${uid}`
  }

  read({ uid }: Listed): AsyncIterable<Uint8Array> {
    return this.#ports.read(uid)
  }

  /** To its last octet. */
  retrieved({ number }: Listed): void {
    this.#mark(number, RETRIEVED)
  }

  delete({ number, size }: Listed): void {
    this.#mark(number, DELETED)
    this.#count--
    this.#size -= size
  }

  /** What was read stays so — RFC 1939 §5, RSET: only the marks for deletion go. */
  reset(): void {
    for (const [index, mark] of this.#marks.entries()) {
      if ((mark & DELETED) === 0) continue
      this.#marks[index] = mark & ~DELETED
      this.#count++
      this.#size += this.#ports.snapshot.at(index).size
    }
  }

  /** The UPDATE state's work. */
  async update(): Promise<void> {
    const { remove, markRead } = this.#ports
    const read = this.#uidsWith((mark) => mark === RETRIEVED)
    // Of no consequence to this client: whether it succeeds must not look like whether messages were removed.
    if (read.length > 0) await markRead(read).catch(() => undefined)
    const deleted = this.#uidsWith((mark) => (mark & DELETED) !== 0)
    if (deleted.length > 0) await remove(deleted)
  }

  #mark(number: number, mark: number): void {
    this.#marks[number - 1] = (this.#marks[number - 1] ?? 0) | mark
  }

  #uidsWith(wanted: (mark: number) => boolean): number[] {
    const uids: number[] = []
    for (const [index, mark] of this.#marks.entries()) if (wanted(mark)) uids.push(this.#ports.snapshot.at(index).uid)
    return uids
  }
}
