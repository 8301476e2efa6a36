/**
 * What a peer's reply means for one recipient.
 *
 * A 5yz is believed only where it is about this recipient or this message; what we did not expect is temporary, because a
 * wrong permanent failure destroys mail.
 *
 * STANDARDS  RFC 5321 §4.2.1 (first digit), §4.2.4 (501 and the like); RFC 3463, RFC 2034 (enhanced status)
 */
export interface PeerReply {
  /** Three digits; 0 when none was said. */
  code: number
  /** The reply as received, without line ends. */
  text: string
}

export type Verdict =
  | { kind: 'deferred'; status: `4.${number}.${number}`; text: string }
  | { kind: 'failed'; status: `5.${number}.${number}`; text: string }

const MAX_TEXT = 1000

/** @param when the step the reply answered: before MAIL nothing said is about the message. */
export function verdictOf({ code, text }: PeerReply, when: 'session' | 'transaction'): Verdict {
  const said = text.slice(0, MAX_TEXT)
  const [, enhanced] = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(text) ?? []
  if (when === 'transaction' && code >= 500 && code < 600) {
    return {
      kind: 'failed',
      status: enhanced?.startsWith('5') ? (enhanced as `5.${number}.${number}`) : '5.0.0',
      text: said,
    }
  }
  return {
    kind: 'deferred',
    status: enhanced?.startsWith('4') ? (enhanced as `4.${number}.${number}`) : '4.0.0',
    text: said,
  }
}
