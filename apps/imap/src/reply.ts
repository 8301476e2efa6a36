/**
 * Answers that are not OK, as values: thrown where they are found, written in one place (connection.ts).
 *
 * STANDARDS  RFC 9051 §7.1 (status responses and their codes), RFC 5530
 */
import { RequestRefused } from '@postbus/bus'

export class ImapError extends Error {
  override readonly name = 'ImapError'
  readonly status: 'NO' | 'BAD'
  /** What stands in square brackets, complete: `TRYCREATE`, `BADCHARSET (UTF-8)`. */
  readonly code: string | null

  /** @param text what the client reads: what to do next, never how we decided. The reason for our eyes goes in `cause`. */
  constructor(status: 'NO' | 'BAD', code: string | null, text: string, options?: ErrorOptions) {
    super(text, options)
    this.status = status
    this.code = code
  }
}

/** The session cannot go on: BYE, then the connection ends. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded'
  readonly code: string | null

  constructor(code: string | null, text: string, options?: ErrorOptions) {
    super(text, options)
    this.code = code
  }
}

/** The client is gone, or so slow that it may as well be. Nobody is left to answer. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

export const no = (code: string | null, text: string, options?: ErrorOptions): ImapError =>
  new ImapError('NO', code, text, options)

export const bad = (text: string): ImapError => new ImapError('BAD', null, text)

export const unavailable = (cause: unknown): ImapError =>
  no('UNAVAILABLE', 'Temporary failure, try again later', { cause })

/** What the mailstore's refusals are to a client. A command names those that mean something else to it. */
const refusals: Record<string, () => ImapError> = {
  noSuchMailbox: () => no('NONEXISTENT', 'No such mailbox'),
  noSuchMessage: () => no('EXPUNGEISSUED', 'This message is gone'),
  noSuchTarget: () => no('TRYCREATE', 'No such mailbox'), // RFC 9051 §6.4.7
  exists: () => no('ALREADYEXISTS', 'There is a mailbox of this name'),
  invalid: () => no('CANNOT', 'This name cannot be used'),
  hasChildren: () => no('HASCHILDREN', 'There are mailboxes below this name'),
  limit: () => no('LIMIT', 'A limit of this account is reached'),
  overQuota: () => no('OVERQUOTA', 'The quota of this account is used up'), // RFC 5530, RFC 9208 §4.2
  tooLarge: () => no('TOOBIG', 'The message is too large'),
  tooComplex: () => no('LIMIT', 'The search is too complex'),
  noSuchBlob: () => unavailable(undefined),
}

function refusal(refused: RequestRefused, own: Record<string, () => ImapError> = {}): ImapError {
  const known = own[refused.code] ?? refusals[refused.code]
  return known ? known() : unavailable(refused)
}

/** The answer, or the mailstore's refusal as the client's. */
export async function refusing<Answer>(
  answer: Promise<Answer>,
  own?: Record<string, () => ImapError>,
): Promise<Answer> {
  try {
    return await answer
  } catch (cause) {
    throw cause instanceof RequestRefused ? refusal(cause, own) : cause
  }
}

export async function* refusingRows<Row>(
  rows: AsyncIterable<Row>,
  own?: Record<string, () => ImapError>,
): AsyncGenerator<Row, void, undefined> {
  try {
    yield* rows
  } catch (cause) {
    throw cause instanceof RequestRefused ? refusal(cause, own) : cause
  }
}

/** A mailbox opened by EXAMINE. */
export const readOnly = (): ImapError => no('CANNOT', 'The mailbox is open read-only')
