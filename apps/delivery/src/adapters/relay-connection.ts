/**
 * nodemailer's SMTP connection as far as a session: greeting, EHLO or LHLO, STARTTLS, AUTH. Then the socket is handed over to whoever
 * sends mail (dialogue.ts). What hangs on parts of the library that are not public: smtp-client.test.ts fails when an upgrade
 * changes them.
 */
import { type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection'

import { replyText } from '../attempt/reply.ts'

type SendCommand = (this: SMTPConnection, line: string, logged?: string) => void

// Not in its types.
const { _sendCommand: sendCommand } = SMTPConnection.prototype as unknown as { _sendCommand: SendCommand }

/** SASL mechanisms that the library logs in by. */
export const MECHANISMS: readonly string[] = ['PLAIN', 'LOGIN', 'CRAM-MD5']

export class RelayConnection extends SMTPConnection {
  /** Told of every command when it is sent, by its verb. */
  sent: (verb: string) => void = () => {}

  constructor(options: SMTPConnectionOptions) {
    super(options)
    // Whoever waits for something is told by its own promise; nobody waiting is no reason to crash.
    this.on('error', () => {})
  }

  /** Resolves when greeting, EHLO and STARTTLS are done. */
  established(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.once('error', reject)
      this.connect((error) => {
        this.off('error', reject)
        if (error) reject(error)
        else resolve()
      })
    })
  }

  logIn({ user, password }: { user: string; password: string }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.login({ credentials: { user, pass: password } }, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** `none` in the clear. */
  get tlsVersion(): string {
    const { _socket: socket } = this
    return socket instanceof TLSSocket ? (socket.getProtocol() ?? 'unknown') : 'none'
  }

  /** From now on the library hears nothing more of it. @throws when the connection is gone */
  handOver(): Socket {
    const { _socket: socket } = this
    if (!socket || socket.destroyed) throw new Error('the connection is gone')
    socket.removeAllListeners('data')
    socket.removeAllListeners('timeout')
    socket.setTimeout(0)
    return socket
  }

  /** RFC 5321 §4.1.1.10: whoever refused us is told that we go; not whoever is leaving. */
  override close(): void {
    const { _socket: socket, lastServerResponse: said } = this
    if (socket && socket.writable && said && /^[45]/.test(said) && !said.startsWith('421')) socket.write('QUIT\r\n')
    super.close()
  }

  _sendCommand(line: string, logged?: string): void {
    this.sent(/^[A-Z]*/.exec(line)?.[0] ?? '')
    sendCommand.call(this, line, logged)
  }
}

/** An error of the library, and what the peer said. */
export function failureOf(error: unknown): { code: string; message: string; response: string | undefined } {
  const { code, message, response }: { code?: unknown; message: string; response?: unknown } =
    error instanceof Error ? error : new Error(String(error))
  return {
    code: typeof code === 'string' ? code : '',
    // The library puts the peer's words into its own.
    message: replyText(message),
    response: typeof response === 'string' ? replyText(response) : undefined,
  }
}
