import { counter, histogram, type MetricsRegistry, openMetrics, SECONDS, seen } from '@postbus/metrics'

import type { LoginResult } from './session.ts'

export const pop3Table = {
  commands: counter('mail_pop3_commands_total', 'Commands by answer.', {
    command: seen('as in RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856; unknown'),
    result: seen<'ok' | 'err'>('ok, err'),
  }),
  seconds: histogram('mail_pop3_command_seconds', 'From a command to the end of its answer.', SECONDS, {
    command: seen('as above'),
  }),
  logins: counter(
    'mail_pop3_logins_total',
    'Logins by what the directory said; inUse: another session has the maildrop.',
    {
      result: seen<LoginResult>('accepted, refused, throttled, inUse'),
    },
  ),
  bytes: counter('mail_pop3_sent_bytes_total', 'Octets sent to clients.'),
}

export interface Pop3Metrics {
  command(name: string, result: 'ok' | 'err', seconds: number): void
  login(result: LoginResult): void
  sent(bytes: number): void
}

export function pop3Metrics(registry: MetricsRegistry): Pop3Metrics {
  const { commands, seconds, logins, bytes } = openMetrics(pop3Table, registry)
  return {
    command(command, result, took) {
      commands.inc({ command, result })
      seconds.observe({ command }, took)
    },
    login: (result) => logins.inc({ result }),
    sent: (count) => bytes.inc(count),
  }
}
