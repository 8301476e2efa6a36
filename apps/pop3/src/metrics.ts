import { Counter, type Registry } from 'prom-client'

import type { LoginResult } from './session.ts'

export interface Pop3Metrics {
  command(name: string, result: 'ok' | 'err'): void
  login(result: LoginResult): void
  sent(bytes: number): void
}

export function pop3Metrics(registry: Registry): Pop3Metrics {
  const registers = [registry]
  const commands = new Counter({
    name: 'mail_pop3_commands_total',
    help: 'Commands by name and result; names we do not know are counted as unknown.',
    labelNames: ['command', 'result'],
    registers,
  })
  /** result: accepted, refused, throttled, inUse */
  const logins = new Counter({
    name: 'mail_pop3_logins_total',
    help: 'Logins by result.',
    labelNames: ['result'],
    registers,
  })
  const bytes = new Counter({ name: 'mail_pop3_sent_bytes_total', help: 'Octets sent to clients.', registers })
  return {
    command: (command, result) => commands.inc({ command, result }),
    login: (result) => logins.inc({ result }),
    sent: (count) => bytes.inc(count),
  }
}
