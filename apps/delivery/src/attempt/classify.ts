/**
 * From a peer's reply to what becomes of the recipient: rows first, the operator's before ours, then the first digit.
 *
 * Unknown is temporary: a wrong permanent failure destroys mail.
 *
 * STANDARDS  RFC 5321 §4.2.1 (first digit); RFC 3463 §2 (class of a status)
 */
import { type PeerReply, readReply } from './reply.ts'
import { type Meaning, REPLY_RULES, type ReplyRule } from './reply-rules.ts'
import { retryHint } from './retry-hint.ts'

/** `soon`: earlier than the schedule says. A number: not before so many milliseconds, by the peer's own words. */
export type Retry = 'soon' | number

export type Verdict = (
  | { kind: 'deferred'; status: `4.${number}.${number}`; reason: string; retry?: Retry }
  | { kind: 'failed'; status: `5.${number}.${number}`; reason: string }
) & {
  /** It is about the whole site: nobody gets through, or it asks for less. */
  site?: 'busy' | 'trouble'
  /** The recipient may go into another transaction at once. */
  crowded?: true
  /** The row that decided. */
  rule?: string
}

/** @param mxHost who said it */
export type Classify = (reply: PeerReply, mxHost: string) => Verdict

/** @param own rows that come before the built-in ones */
export function classifier(own: readonly ReplyRule[] = []): Classify {
  return ({ to, text }, mxHost) => {
    const reply = readReply(text)
    const among = (rules: readonly ReplyRule[], line: string): ReplyRule | undefined =>
      rules.find(
        ({ to: where, host, pattern }) =>
          (where === undefined || where.includes(to)) &&
          (host === undefined || mxHost.toLowerCase().endsWith(host)) &&
          pattern.test(line),
      )
    const rule = among(own, reply.line) ?? among(REPLY_RULES, withoutAddresses(reply.line))
    const means = rule?.means ?? (reply.code.startsWith('5') ? 'failed' : 'deferred')
    return { ...verdict(means, reply.status, reply.line), reason: text, ...(rule && { rule: rule.name }) }
  }
}

/** Somebody may be called `greylist.fan`: no word of an address is the peer's. */
const withoutAddresses = (line: string): string =>
  line
    .split(' ')
    .filter((word) => !word.includes('@'))
    .join(' ')

/** The verdict but for its words. */
function verdict(means: Meaning, said: string | undefined, line: string) {
  // RFC 3463 §2: the class is ours to say, subject and detail stay the peer's.
  const [, subject, detail] = said?.split('.').map(Number) ?? []
  const place = `${subject ?? 0}.${detail ?? 0}` as const
  if (means === 'failed') return { kind: 'failed', status: `5.${place}` } as const
  const deferred = { kind: 'deferred', status: `4.${place}` } as const
  const hint = retryHint(line)
  if (means === 'soon') return { ...deferred, retry: hint ?? 'soon' } as const
  const asked = hint === null ? {} : { retry: hint }
  if (means === 'deferred') return { ...deferred, ...asked }
  if (means === 'crowded') return { ...deferred, crowded: true } as const
  return { ...deferred, ...asked, site: means }
}
