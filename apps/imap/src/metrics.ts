import { Counter, Histogram, type Registry } from 'prom-client'

import type { CommandResult } from './connection-context.ts'

export interface ImapMetrics {
  /** command: the names of commands/index.ts, or unknown; result: ok, no, bad */
  commands: Counter<'command' | 'result'>
  commandSeconds: Histogram<'command'>
  /** result: accepted, refused, throttled, unavailable */
  logins: Counter<'result'>
  pushSeconds: Histogram
  receivedBytes: Counter
  sentBytes: Counter
}

export function imapMetrics(registry: Registry): ImapMetrics {
  const registers = [registry]
  return {
    commands: new Counter({
      name: 'mail_imap_commands_total',
      help: 'Commands by name and answer',
      labelNames: ['command', 'result'],
      registers,
    }),
    commandSeconds: new Histogram({
      name: 'mail_imap_command_seconds',
      help: 'From the end of a command to its tagged answer; IDLE lasts as long as it lasts',
      labelNames: ['command'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    }),
    logins: new Counter({
      name: 'mail_imap_logins_total',
      help: 'Logins by what the directory said',
      labelNames: ['result'],
      registers,
    }),
    pushSeconds: new Histogram({
      name: 'mail_imap_push_seconds',
      help: 'From hearing of a change to its lines on their way to an idling client',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5],
      registers,
    }),
    receivedBytes: new Counter({ name: 'mail_imap_received_bytes_total', help: 'Octets from clients', registers }),
    sentBytes: new Counter({ name: 'mail_imap_sent_bytes_total', help: 'Octets to clients', registers }),
  }
}

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
