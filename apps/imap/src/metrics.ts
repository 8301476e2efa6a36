import { counter, histogram, type MetricsRegistry, openMetrics, type Opened, SECONDS, seen } from '@postbus/metrics'

import type { CommandResult } from './connection-context.ts'

export const imapTable = {
  commands: counter('mail_imap_commands_total', 'Commands by answer.', {
    command: seen('the names of RFC 9051 and the extensions; unknown'),
    result: seen<CommandResult>('ok, no, bad'),
  }),
  commandSeconds: histogram(
    'mail_imap_command_seconds',
    'From the end of a command to its tagged answer; IDLE lasts as long as it lasts.',
    SECONDS,
    { command: seen('as above') },
  ),
  logins: counter('mail_imap_logins_total', 'Logins by what the directory said.', {
    result: seen('accepted, refused, throttled, unavailable'),
  }),
  pushSeconds: histogram(
    'mail_imap_push_seconds',
    'From hearing of a change to its lines on their way to an idling client.',
    [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5],
  ),
  receivedBytes: counter('mail_imap_received_bytes_total', 'Octets from clients, counted when a session ends.'),
  sentBytes: counter('mail_imap_sent_bytes_total', 'Octets to clients, counted when a session ends.'),
}

export type ImapMetrics = Opened<typeof imapTable>

export const imapMetrics = (registry: MetricsRegistry): ImapMetrics => openMetrics(imapTable, registry)

/** What a connection reports, counted. */
export function counting(metrics: ImapMetrics) {
  return {
    observe: {
      login: (result: string) => metrics.logins.inc({ result }),
      pushed: (seconds: number) => metrics.pushSeconds.observe(seconds),
    },
    onCommand(name: string | null, result: CommandResult, seconds: number): void {
      const command = name ?? 'unknown'
      metrics.commands.inc({ command, result })
      if (name !== null) metrics.commandSeconds.observe({ command }, seconds)
    },
    onEnd(receivedBytes: number, sentBytes: number): void {
      metrics.receivedBytes.inc(receivedBytes)
      metrics.sentBytes.inc(sentBytes)
    },
  }
}
