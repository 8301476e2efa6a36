/**
 * What a peer's reply means for one recipient.
 *
 * A 5yz is believed only where it is about this recipient or this message; what we did not expect is temporary, because a
 * wrong permanent failure destroys mail.
 *
 * STANDARDS  RFC 5321 §4.2.1 (first digit), §4.5.3.1.10 (too many recipients); RFC 3463, RFC 2034 (enhanced status)
 */
export interface PeerReply {
  /** As received; several lines are parted by line feeds. */
  text: string
  /** What it answered. Before MAIL nothing said is about the message. */
  to: 'session' | 'MAIL' | 'RCPT' | 'DATA'
}

export type Verdict = (
  | { kind: 'deferred'; status: `4.${number}.${number}`; reason: string }
  | { kind: 'failed'; status: `5.${number}.${number}`; reason: string }
) & {
  /** It is about the whole site: nobody gets through, or it asks for less. */
  site?: 'trouble' | 'busy'
}

const MAX_REASON = 2000

export function verdictOf(reply: PeerReply): Verdict {
  const { text, to } = reply
  const [, said] = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?![\d.])/.exec(text) ?? []
  const reason = text.slice(0, MAX_REASON)
  if (/^5\d\d(?!\d)/.test(text) && to !== 'session' && !meansTooMany(reply)) {
    return { kind: 'failed', status: isClass5(said) ? said : '5.0.0', reason }
  }
  const status = isClass4(said) ? said : '4.0.0'
  const site = siteIn(reply)
  return { kind: 'deferred', status, reason, ...(site && { site }) }
}

/** RFC 5321 §3.8: 421 closes the session, whatever it answers; before MAIL any refusal is one of the session. */
function siteIn({ text, to }: PeerReply): 'trouble' | 'busy' | undefined {
  if (to !== 'session' && !text.startsWith('421')) return undefined
  return ASKS_FOR_LESS.test(text) ? 'busy' : 'trouble'
}

/** RFC 3463 §3.8: X.7.0 is what large sites say to whom comes too often. */
const ASKS_FOR_LESS = /^4\d\d[ -]4\.7\.\d|too (?:many|much|fast)|throttl|rate.?limit|connection limit|slow down/i

/**
 * The recipient may go into another transaction at once. A 552 to RCPT is to be taken for the 452 it should have been, unless
 * its enhanced status says that it is about the mailbox or the message.
 */
export function meansTooMany({ text, to }: PeerReply): boolean {
  return to === 'RCPT' && /^(?:452|552)[ -](?:[45]\.5\.3(?!\d)|(?![45]\.\d))/.test(text)
}

const isClass4 = (status: string | undefined): status is `4.${number}.${number}` => status?.startsWith('4.') === true
const isClass5 = (status: string | undefined): status is `5.${number}.${number}` => status?.startsWith('5.') === true
