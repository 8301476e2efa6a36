/**
 * Everything we advertise, and when: the only place that names a capability. Each has a row in docs/standards.md.
 *
 * STANDARDS  RFC 9051 §6.1.1, §7.2.2; RFC 3501 §6.2.3 (LOGINDISABLED)
 */

export interface CapabilityFacts {
  authenticated: boolean
  /** Octets of the largest message taken. */
  appendLimit: number
  /** TLS is on, or plaintext passwords are allowed without it. */
  mayLogIn: boolean
  /** TLS could be started now. */
  mayStartTls: boolean
  /** SASL mechanisms to be had on this connection. */
  mechanisms: readonly string[]
  /** Octets are compressed already. */
  compressed: boolean
}

type Condition = (facts: CapabilityFacts) => boolean

const always: Condition = () => true
const beforeLogin: Condition = ({ authenticated, mayLogIn }) => !authenticated && mayLogIn
const mechanism =
  (name: string): Condition =>
  (facts) =>
    beforeLogin(facts) && facts.mechanisms.includes(name)

export const capabilities: readonly (readonly [name: string, when: Condition])[] = [
  ['IMAP4rev1', always], // RFC 3501
  ['IMAP4rev2', always], // RFC 9051
  ['STARTTLS', ({ mayStartTls }) => mayStartTls], // RFC 9051 §6.2.1
  ['LOGINDISABLED', ({ authenticated, mayLogIn }) => !authenticated && !mayLogIn],
  ['AUTH=PLAIN', mechanism('PLAIN')], // RFC 4616
  ['AUTH=SCRAM-SHA-256', mechanism('SCRAM-SHA-256')], // RFC 7677
  ['AUTH=SCRAM-SHA-256-PLUS', mechanism('SCRAM-SHA-256-PLUS')], // RFC 7677
  ['AUTH=OAUTHBEARER', mechanism('OAUTHBEARER')], // RFC 7628
  ['AUTH=XOAUTH2', mechanism('XOAUTH2')], // as Google describes it
  ['SASL-IR', beforeLogin], // RFC 4959
  ['LITERAL+', always], // RFC 7888
  ['ID', always], // RFC 2971
  ['ENABLE', always], // RFC 5161
  ['IDLE', always], // RFC 2177
  ['NAMESPACE', always], // RFC 2342
  ['CHILDREN', always], // RFC 3348
  ['LIST-EXTENDED', always], // RFC 5258
  ['LIST-STATUS', always], // RFC 5819
  ['SPECIAL-USE', always], // RFC 6154
  ['CREATE-SPECIAL-USE', always], // RFC 6154
  ['UIDPLUS', always], // RFC 4315
  ['UNSELECT', always], // RFC 3691
  ['MOVE', always], // RFC 6851
  ['MULTIAPPEND', always], // RFC 3502
  ['STATUS=SIZE', always], // RFC 8438
  ['CONDSTORE', always], // RFC 7162
  ['QRESYNC', always], // RFC 7162
  ['ESEARCH', always], // RFC 4731
  ['SEARCHRES', always], // RFC 5182
  ['PARTIAL', always], // RFC 9394
  ['WITHIN', always], // RFC 5032
  ['SAVEDATE', always], // RFC 8514
  ['OBJECTID', always], // RFC 8474
  ['APPENDLIMIT', always], // RFC 7889
  ['BINARY', always], // RFC 3516
  ['PREVIEW', always], // RFC 8970
  ['SORT', always], // RFC 5256
  ['SORT=DISPLAY', always], // RFC 5957
  ['THREAD=ORDEREDSUBJECT', always], // RFC 5256
  ['THREAD=REFERENCES', always], // RFC 5256
  ['QUOTA', always], // RFC 9208
  ['QUOTA=RES-STORAGE', always], // RFC 9208
  ['METADATA', always], // RFC 5464
  ['LIST-METADATA', always], // RFC 9590
  ['REPLACE', always], // RFC 8508
  ['UTF8=ACCEPT', always], // RFC 9755
  ['COMPRESS=DEFLATE', ({ authenticated, compressed }) => authenticated && !compressed], // RFC 4978
]

export function capabilityList(facts: CapabilityFacts): string {
  const offered = capabilities.filter(([, when]) => when(facts)).map(([name]) => valued(name, facts))
  return ['CAPABILITY', ...offered].join(' ')
}

/** One limit holds for every mailbox, so it is said once — RFC 7889 §3. */
function valued(name: string, { appendLimit }: CapabilityFacts): string {
  return name === 'APPENDLIMIT' ? `${name}=${appendLimit}` : name
}
