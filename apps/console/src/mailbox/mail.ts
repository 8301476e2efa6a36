/** What goes in and out of an account, whatever form it has outside: mailboxes of messages, each with flags and a date. */

/** Streams once. Lines end in CRLF, as in the mailstore. */
export type Octets = AsyncIterable<Uint8Array>

export interface SourceMessage {
  /** Names the message in its mailbox for ever: what was taken is not taken again. */
  key: string
  flags: string[]
  /** Null: the source does not say. */
  internalDate: Date | null
  /** Of `octets`, where it is known before they are read. */
  size: number | null
  /** To be read before the next message is asked for, or not at all. @throws MessageUnreadable */
  octets: Octets
}

export interface SourceMailbox {
  /** Unicode, levels separated by `/`. */
  name: string
  /** `\Sent` and so on, where the source says so. */
  specialUse: string | null
  subscribed: boolean
  /** Null: not known before they are read. */
  count: number | null
  /** In the order of their coming. `isTaken` are left out. */
  messages(isTaken: (key: string) => boolean): AsyncIterable<SourceMessage>
}

export interface MailSource {
  /** The same for the same source at the next call. */
  id: string
  mailboxes(): AsyncIterable<SourceMailbox>
  close(): Promise<void>
}

/** One message cannot be read; the others can. */
export class MessageUnreadable extends Error {
  override readonly name = 'MessageUnreadable'
}

/** There is no mail of this kind at the place named; or what is there stands in the way. */
export class NoMailThere extends Error {
  override readonly name = 'NoMailThere'
}

/** There is something, in another form than was said: nobody should take it for no mail. */
export class OtherForm extends Error {
  override readonly name = 'OtherForm'
}

export interface ExportedMessage {
  uid: number
  flags: string[]
  internalDate: Date
  /** Octets, with CRLF. */
  size: number
  octets: Octets
}

export interface MailSink {
  /** Before the first message of a mailbox; null: the mailbox is here as a whole already. */
  open(mailbox: { name: string; uidValidity: number }): Promise<MailboxSink | null>
  /** After the last mailbox. */
  finish(subscribed: readonly string[]): Promise<void>
}

export interface MailboxSink {
  /** The message is here already, whole. */
  has(uid: number): boolean
  /** @returns keywords there was no room for */
  write(message: ExportedMessage): Promise<string[]>
  /** After the last message, or when the work is broken off. */
  close(complete: boolean): Promise<void>
}
