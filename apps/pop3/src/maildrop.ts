/**
 * A maildrop: the messages of one INBOX as they were when the session began, and which of them it wants gone.
 *
 * Nothing is removed before QUIT; a session that ends otherwise removes nothing — RFC 1939 §6.
 *
 * STANDARDS  RFC 1939 §3–7
 */

/** One message of the mailbox. */
export interface MaildropMessage {
  uid: number
  /** Octets as sent, dot-stuffing not counted — RFC 1939 §11. */
  size: number
}

export interface MaildropPorts {
  uidValidity: number
  messages: readonly MaildropMessage[]
  read(uid: number): AsyncIterable<Uint8Array>
  remove(uids: readonly number[]): Promise<void>
}

export interface Listed extends MaildropMessage {
  /** 1 is the first; stays the same for the whole session. */
  number: number
}

export class Maildrop {
  readonly #ports: MaildropPorts
  readonly #deleted = new Set<number>()

  constructor(ports: MaildropPorts) {
    this.#ports = ports
  }

  /** Messages not marked as deleted, and their octets. */
  get count(): number {
    return this.#ports.messages.length - this.#deleted.size
  }

  get size(): number {
    let size = 0
    for (const message of this.list()) size += message.size
    return size
  }

  *list(): Iterable<Listed> {
    for (const [index, message] of this.#ports.messages.entries()) {
      if (!this.#deleted.has(index + 1)) yield { ...message, number: index + 1 }
    }
  }

  /** Null when there is no such message, or it is marked as deleted. */
  get(number: number): Listed | null {
    const message = this.#ports.messages[number - 1]
    return message === undefined || this.#deleted.has(number) ? null : { ...message, number }
  }

  /** The same for ever: neither UIDVALIDITY nor UID is used again — RFC 1939 §7. */
  uidl({ uid }: MaildropMessage): string {
    return `${this.#ports.uidValidity}.${uid}`
  }

  read({ uid }: MaildropMessage): AsyncIterable<Uint8Array> {
    return this.#ports.read(uid)
  }

  delete({ number }: Listed): void {
    this.#deleted.add(number)
  }

  reset(): void {
    this.#deleted.clear()
  }

  /** The UPDATE state's work. */
  async update(): Promise<void> {
    const uids = this.#ports.messages.filter((_, index) => this.#deleted.has(index + 1)).map(({ uid }) => uid)
    if (uids.length > 0) await this.#ports.remove(uids)
  }
}
