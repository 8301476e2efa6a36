/** What the SMTP listeners of one service count besides connections. */
import { Counter, Histogram, type Registry } from 'prom-client'

import { type ConnectionMetrics, connectionMetrics } from '../metrics.ts'

export interface SmtpMetrics extends ConnectionMetrics {
  /** verb: the commands of RFC 5321, STARTTLS, AUTH, other */
  commands: Counter<'verb'>
  replies: Counter<'code'>
  /** mechanism: PLAIN, LOGIN; outcome: accepted, refused, failed */
  auth: Counter<'mechanism' | 'outcome'>
  /** outcome: accepted, refused, deferred, aborted */
  messages: Counter<'outcome'>
  octets: Counter
  /** From the end of DATA to its reply. */
  acceptSeconds: Histogram
}

const ACCEPT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** @param app the service's name: `mail_<app>_…` */
export function smtpMetrics(registry: Registry, app: string): SmtpMetrics {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> =>
    new Counter({ name: `mail_${app}_${name}`, help, labelNames, registers })
  return {
    ...connectionMetrics(registry, app),
    commands: counter('commands_total', 'SMTP commands by verb', ['verb']),
    replies: counter('replies_total', 'SMTP replies by code', ['code']),
    auth: counter('auth_total', 'Authentication attempts', ['mechanism', 'outcome']),
    messages: counter('messages_total', 'Messages at the end of DATA by answer', ['outcome']),
    octets: counter('message_octets_total', 'Octets of accepted messages', []),
    acceptSeconds: new Histogram({
      name: `mail_${app}_accept_seconds`,
      help: 'From the end of DATA to its reply',
      buckets: ACCEPT_BUCKETS,
      registers,
    }),
  }
}
