/** Another IMAP server, reached as a client: with TLS from the start, or by STARTTLS; never without. */
import { imapSource } from '../mailbox/imap-source.ts'
import { type MailSource, NoMailThere } from '../mailbox/mail.ts'

export interface ImapServer {
  host: string
  port: number
  /** TLS from the start. */
  secure: boolean
  user: string
}

/** `imaps://user@host:port`; the user's own `@` may stand as it is. Null: not such a URL. A password in it is none of ours. */
export function parseImapUrl(text: string): ImapServer | null {
  const [, scheme, user, host, port] =
    /^(imaps?):\/\/(.+)@(\[[0-9a-f:.]+\]|[^@/:]+)(?::(\d{1,5}))?\/?$/i.exec(text) ?? []
  if (scheme === undefined || user === undefined || host === undefined) return null
  const secure = scheme.toLowerCase() === 'imaps'
  const standard = secure ? 993 : 143
  try {
    const named = host.replace(/^\[|\]$/g, '')
    return { host: named, port: port === undefined ? standard : Number(port), secure, user: decodeURIComponent(user) }
  } catch {
    return null
  }
}

/** @throws NoMailThere with the server's word */
export async function connectImapSource(server: ImapServer & { password: string; ca?: string }): Promise<MailSource> {
  const { host, port, secure, user, password, ca } = server
  const { ImapFlow } = await import('imapflow')
  const client = new ImapFlow({
    ...{ host, port, secure, auth: { user, pass: password }, logger: false, disableAutoIdle: true },
    ...(!secure && { doSTARTTLS: true }),
    ...(ca !== undefined && { tls: { ca } }),
  })
  // What breaks the connection is thrown to whoever waits for an answer.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (cause) {
    throw new NoMailThere(`${user} at ${host}:${port}: ${wordsOf(cause)}`, { cause })
  }
  return imapSource(client, `${user}@${host}:${port}`)
}

/** imapflow keeps what the server said beside the message. */
function wordsOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return 'responseText' in cause && typeof cause.responseText === 'string' ? cause.responseText : cause.message
}
