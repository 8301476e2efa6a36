/**
 * How the sink misbehaves, by the beginning of a local part: of the reverse-path at MAIL, of the recipient at RCPT, of any recipient
 * of the transaction afterwards. The first row of a step that fits decides.
 *
 * Besides these rows `mail451…`, `rcpt299…`, `data554…` and `dot452…` answer that step with that code, any of 200 to 599.
 */
export type Step =
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  /** The data, before any of it has come. */
  | 'data'
  /** The data, once some of it has come. */
  | 'middle'
  /** The end of the data. */
  | 'dot'

export type Action =
  /** Said instead of the usual reply; a 2yz takes what it answers. 421 closes. Lines are parted by line feeds. */
  | { kind: 'reply'; text: string }
  /** The connection is closed without a reply. `kept`: the message was taken nevertheless — RFC 1047. */
  | { kind: 'drop'; kept?: true }
  /** So much of a reply, no line end, then the connection is closed. */
  | { kind: 'half'; text: string }
  /** Nothing is said any more. The connection stays until the client goes. */
  | { kind: 'silence'; kept?: true }
  /** Lines of one reply that never ends, until the client goes. */
  | { kind: 'flood' }
  /** The usual reply, after `slowMs` or `slowUntil`. */
  | { kind: 'slow' }
  /** The usual reply, one byte at a time. */
  | { kind: 'bytewise' }

export interface Behaviour {
  prefix: string
  at: Step
  action: Action
  /** Only the first time for each address. */
  once?: true
}

const row = (at: Step, prefix: string, action: Action): Behaviour => ({ at, prefix, action })
const says = (at: Step, prefix: string, text: string): Behaviour => row(at, prefix, { kind: 'reply', text })

export const BEHAVIOURS: readonly Behaviour[] = [
  row('MAIL', 'dropmail', { kind: 'drop' }),
  row('MAIL', 'slowmail', { kind: 'slow' }),
  row('MAIL', 'halfmail', { kind: 'half', text: '550 5.7' }),
  says('MAIL', 'tempmail', '451 4.3.0 not now'),
  says('MAIL', 'permmail', '550 5.7.1 not from you'),

  says('RCPT', 'tempfail', '451 4.2.0 not now'),
  says('RCPT', 'permfail', '550 5.1.1 nobody of that name'),
  { ...says('RCPT', 'greylist', '451 4.7.1 greylisted'), once: true },
  { ...says('RCPT', 'greyperm', '550 5.7.1 greylisted, try again in 1 second'), once: true },
  says('RCPT', 'full', '452 4.2.2 mailbox full'),
  says('RCPT', 'quota', '552 5.2.2 mailbox full'),
  says('RCPT', 'listed', '554 5.7.1 Service unavailable; client host is on a blocklist'),
  says('RCPT', 'throttle', '451 4.7.500 Server busy'),
  says('RCPT', 'crowd', '421 4.7.0 too many connections'),
  says('RCPT', 'closing', '421 4.3.2 closing'),
  says('RCPT', 'garbage', 'what is this'),
  says(
    'RCPT',
    'manylines',
    [...Array.from({ length: 20 }, (_, line) => `250-2.1.5 line ${line}`), '250 2.1.5 ok'].join('\n'),
  ),
  row('RCPT', 'slow', { kind: 'slow' }),
  row('RCPT', 'bytewise', { kind: 'bytewise' }),
  row('RCPT', 'droprcpt', { kind: 'drop' }),
  row('RCPT', 'halfrcpt', { kind: 'half', text: '550 5.1' }),
  row('RCPT', 'silentrcpt', { kind: 'silence' }),
  row('RCPT', 'floodrcpt', { kind: 'flood' }),

  says('DATA', 'wrongdata', '250 2.0.0 go ahead'),
  row('DATA', 'dropbegin', { kind: 'drop' }),
  row('data', 'dropdata', { kind: 'drop' }),
  row('middle', 'dropmiddle', { kind: 'drop' }),
  row('middle', 'silentmiddle', { kind: 'silence' }),

  says('dot', 'tempdata', '451 4.3.0 later'),
  says('dot', 'permdata', '554 5.6.0 not like this'),
  says('dot', 'toolarge', '552 5.3.4 too large after all'),
  row('dot', 'dropdot', { kind: 'drop', kept: true }),
  { ...row('dot', 'dropfirstdot', { kind: 'drop', kept: true }), once: true },
  row('dot', 'halfdot', { kind: 'half', text: '250 2.0' }),
  row('dot', 'silentdot', { kind: 'silence', kept: true }),
  row('dot', 'dotslow', { kind: 'slow' }),
]

const CODED = /^(mail|rcpt|data|dot)([2-5]\d\d)/
const CODED_STEPS: Readonly<Record<string, Step>> = { mail: 'MAIL', rcpt: 'RCPT', data: 'DATA', dot: 'dot' }

export function behaviourOf(at: Step, path: string): Behaviour | undefined {
  const [prefix, word = '', code] = CODED.exec(path) ?? []
  if (prefix !== undefined && CODED_STEPS[word] === at) return says(at, prefix, `${code} as asked`)
  return BEHAVIOURS.find((behaviour) => behaviour.at === at && path.startsWith(behaviour.prefix))
}
