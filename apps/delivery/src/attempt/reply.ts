/**
 * A peer's reply as a value: bounded, printable, and read where SMTP says where to look. What it means is decided in classify.ts.
 *
 * STANDARDS  RFC 5321 §4.2.1 (multi-line replies); RFC 2034 (enhanced status)
 */
export interface PeerReply {
  /** As received; several lines are parted by line feeds. */
  text: string
  /** What it answered. Before MAIL nothing said is about the message. */
  to: ReplyTo
}

export const REPLY_TO = ['session', 'MAIL', 'RCPT', 'DATA'] as const
export type ReplyTo = (typeof REPLY_TO)[number]

/** RFC 5321 §4.5.3.1.5 allows 512 octets a line; what a peer says beyond a screenful tells nobody anything. */
export const MAX_REPLY = 2000

/**
 * What a peer sent, fit for logs, statuses and reports: line ends become line feeds; control characters, bidirectional overrides
 * and halves of surrogate pairs become U+FFFD; no longer than MAX_REPLY UTF-16 units, never cut inside a character.
 */
export function replyText(raw: string): string {
  const text = raw
    .slice(0, MAX_REPLY)
    .replace(/\r\n?/g, '\n')
    .replace(/\t/g, ' ')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (char) =>
      char === '\n' ? char : '\ufffd',
    )
    .trim()
  return text.toWellFormed()
}

export interface ReadReply {
  /** Three digits; empty when the peer's words are no reply. */
  code: string
  /** Its enhanced status when that agrees with the code's first digit — RFC 3463 §2. */
  status: string | undefined
  /** `550 5.1.1 all words of all lines`: what patterns are matched against. */
  line: string
}

export function readReply(text: string): ReadReply {
  const lines = text.split('\n').map((line) => REPLY_LINE.exec(line.trim())?.groups ?? { words: line.trim() })
  const code = lines[0]?.['code'] ?? ''
  const said = lines.find(({ status }) => status !== undefined)?.['status']
  const status = said?.[0] === code[0] ? said : undefined
  const words = lines.map(({ words }) => words).filter(Boolean)
  return { code, status, line: [code, said, ...words].filter(Boolean).join(' ') }
}

const REPLY_LINE = /^(?<code>[2-5]\d\d)(?!\d)[ -]?(?:(?<status>[245]\.\d{1,3}\.\d{1,3})(?![\d.])\s*)?(?<words>.*)$/
