/**
 * nodemailer's SMTP connection as a relay needs it. The library knows one set of DSN parameters for all recipients and decides
 * about SMTPUTF8 by the addresses alone; here MAIL and RCPT get the parameters the transaction says. That hangs on a method
 * of the library that is not public: smtp-client.test.ts fails when an upgrade changes it.
 */
import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection'

type SendCommand = (this: SMTPConnection, line: string, logged?: string) => void

const sendCommand = (SMTPConnection.prototype as unknown as { _sendCommand: SendCommand })._sendCommand // not in its types

export class RelayConnection extends SMTPConnection {
  /** Added to MAIL unless it is there already. */
  mailParameters: readonly string[] = []
  /** Added to RCPT, by forward-path. */
  rcptParameters: ReadonlyMap<string, string> = new Map()

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

  _sendCommand(line: string, logged?: string): void {
    sendCommand.call(this, this.#withParameters(line), logged)
  }

  #withParameters(line: string): string {
    if (line.startsWith('MAIL FROM:<')) {
      const missing = this.mailParameters.filter((parameter) => !line.split(' ').includes(parameter))
      return [line, ...missing].join(' ')
    }
    if (!line.startsWith('RCPT TO:<')) return line
    const parameters = this.rcptParameters.get(line.slice('RCPT TO:<'.length, line.lastIndexOf('>')))
    return parameters ? `${line} ${parameters}` : line
  }
}
