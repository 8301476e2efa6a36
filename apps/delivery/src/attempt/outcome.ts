/**
 * What became of one recipient in one attempt, as a value. A throw means that we do not know, and is tried again.
 *
 * STANDARDS  RFC 5321 §4.2.1 (reply classes), RFC 3463 (enhanced statuses)
 */
export type Outcome =
  | { kind: 'relayed'; mxHost: string; reply: string; dsn: boolean }
  | { kind: 'temporary'; status: `4.${number}.${number}`; reason: string; reply?: string; mxHost?: string }
  | { kind: 'permanent'; status: `5.${number}.${number}`; reason: string; reply?: string; mxHost?: string }

/** A reply that was not 2yz, as received, and what it answered. */
export interface Refusal {
  reply: string
  during: 'MAIL' | 'RCPT' | 'DATA'
}

/**
 * The first digit decides, and what is not clearly permanent is temporary: a wrong 5yz destroys mail, a wrong 4yz only waits.
 */
export function outcomeOf({ reply, during }: Refusal, mxHost: string): Exclude<Outcome, { kind: 'relayed' }> {
  const status = /^[0-9]{3}[ -]([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9])/.exec(reply)
  const code = reply.slice(0, 3)
  const detail = status?.[1] === code[0] ? `${Number(status?.[2])}.${Number(status?.[3])}` : '0.0'
  const said = { reason: textOf(reply), reply, mxHost }
  const permanent = /^5[0-9]{2}$/.test(code) && !meansTooManyRecipients(code, detail, during)
  return permanent
    ? { kind: 'permanent', status: `5.${detail}` as `5.${number}.${number}`, ...said } // from digits, two lines above
    : { kind: 'temporary', status: `4.${detail}` as `4.${number}.${number}`, ...said }
}

/**
 * RFC 5321 §4.5.3.1.10: a 552 to RCPT is to be treated as the 452 it should have been, unless the enhanced status says that it is
 * about the mailbox or the message.
 */
const meansTooManyRecipients = (code: string, detail: string, during: Refusal['during']): boolean =>
  during === 'RCPT' && code === '552' && (detail === '0.0' || detail === '5.3')

/** Whether another transaction may take the recipient at once — RFC 5321 §4.5.3.1.10. */
export const isTooManyRecipients = ({ reply, during }: Refusal): boolean =>
  during === 'RCPT' && /^(?:452[ -]4\.5\.3|452 (?!4\.)|552[ -]5\.5\.3|552 (?!5\.))/.test(reply)

function textOf(reply: string): string {
  const lines = reply.split(/\r?\n/).map((line) => line.replace(/^[0-9]{3}(?:[ -](?:[245]\.[0-9.]+ ?)?)?/, ''))
  return lines.join(' ').trim() || reply
}
