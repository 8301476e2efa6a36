/** What a sink can be told when it is started, and what it tells. */
export interface SinkMessage {
  reversePath: string
  /** Parameters after the path, as sent. */
  mailParameters: string
  recipients: { forwardPath: string; parameters: string }[]
  /** Dot-stuffing undone. Empty when the sink keeps digests only. */
  data: Buffer
  /** Octets of the data, and their SHA-256 in hex. */
  bytes: number
  sha256: string
  /** Which connection it came over; two with the same number shared it. */
  session: number
  secure: boolean
  /** Who had logged in. */
  user: string | null
  /** Where it was connected to from, and what the client called itself. */
  clientAddress: string
  helo: string
}

export interface SinkSessionFacts {
  session: number
  commands: number
  messages: number
  secure: boolean
  user: string | null
  clientAddress: string
  helo: string
}

export type Verb =
  'connect' | 'EHLO' | 'HELO' | 'LHLO' | 'AUTH' | 'STARTTLS' | 'MAIL' | 'RCPT' | 'DATA' | 'RSET' | 'NOOP' | 'QUIT'

export interface SinkOptions {
  /** Default 0: any free port. */
  port?: number
  host?: string
  /** What EHLO names besides the domain. Default: PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES. */
  extensions?: readonly string[]
  /** First word of the greeting and of the EHLO reply. */
  name?: string
  /** Replaces the whole greeting, e.g. `554 go away`; lines parted by line feeds. 4yz and 5yz close. Null: it never greets. */
  greeting?: string | null
  greetingDelayMs?: number
  /** EHLO is not known here. */
  heloOnly?: boolean
  /** PEM; STARTTLS is offered with it. */
  tls?: { key: string; cert: string }
  /** Encrypted from the first octet, with `tls`. */
  implicitTls?: boolean
  /** AUTH PLAIN and LOGIN are offered, and MAIL is refused without them. */
  auth?: { user: string; password: string }
  /** LMTP: LHLO, and after the data a reply for each recipient; tempdata… and permdata… are refused alone — RFC 2033. */
  lmtp?: boolean
  /** STARTTLS is answered like this instead of 220. */
  starttlsReply?: string
  /** STARTTLS is offered and answered with 220; then comes no handshake, but garbage or nothing. */
  tlsBroken?: 'garbage' | 'cut'
  /** For the slow ones among the behaviours. */
  slowMs?: number
  /** Instead: they are answered when this resolves. */
  slowUntil?: Promise<void>
  /** Every command is answered so late. */
  delayMs?: number
  /** The connection is closed when this is said, without a reply. */
  dropAt?: Verb
  /** 452 for every recipient of a transaction after this many. */
  maxRecipients?: number
  /** 552 at MAIL for a SIZE above it, and after the data for more octets, whatever EHLO says. */
  maxSize?: number
  /** `digests`: neither data nor command lines are kept, only envelopes, sizes and hashes. */
  keep?: 'messages' | 'digests'
  /** Called with each message as it is taken. */
  onMessage?: (message: SinkMessage) => void
}

export interface SmtpSink {
  readonly port: number
  readonly host: string
  readonly messages: readonly SinkMessage[]
  /** Every command line received, in order of arrival. */
  readonly commands: readonly string[]
  /** How often each verb was said, upper case. */
  readonly counts: Readonly<Record<string, number>>
  /** Connections so far, how many are open, and how many were at once. */
  readonly sessions: number
  readonly open: number
  readonly mostOpen: number
  /** One per connection, in order. */
  readonly bySession: readonly Readonly<SinkSessionFacts>[]
  /** Resolves when so many messages have been taken in all. */
  received(count: number): Promise<readonly SinkMessage[]>
  /** Stops listening and cuts every connection. */
  close(): Promise<void>
  /** Listens again on the same port. */
  reopen(): Promise<void>
}
