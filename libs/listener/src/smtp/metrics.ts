/** What the SMTP listeners of one service count besides connections. */
import { counter, histogram, type MetricsRegistry, openMetrics, type Opened, SECONDS, seen } from '@postbus/metrics'

import { connectionTable } from '../metrics.ts'

export const smtpTable = {
  ...connectionTable,
  commands: counter('mail_smtp_commands_total', 'SMTP commands.', {
    verb: seen('the commands of RFC 5321, STARTTLS, AUTH; other'),
  }),
  replies: counter('mail_smtp_replies_total', 'SMTP replies; the first digit of the code is its class.', {
    code: seen('three digits — RFC 5321 §4.2'),
  }),
  senders: counter('mail_smtp_senders_total', 'Transactions by the answer to MAIL.', {
    outcome: ['accepted', 'refused', 'deferred'],
  }),
  recipients: counter('mail_smtp_recipients_total', 'Recipients by the answer to RCPT.', {
    outcome: ['accepted', 'refused', 'deferred'],
  }),
  messages: counter('mail_smtp_messages_total', 'Messages at the end of DATA by the answer; aborted: there was none.', {
    outcome: ['accepted', 'refused', 'deferred', 'aborted'],
  }),
  bytes: counter('mail_smtp_accepted_bytes_total', 'Octets of accepted messages.'),
  acceptSeconds: histogram('mail_smtp_accept_seconds', 'From the end of DATA to its reply.', SECONDS),
}

/** Of a listener that takes logins. */
export const authTable = {
  auth: counter(
    'mail_smtp_auth_total',
    'Logins by the answer; failed: the directory could not be asked, or the client gave up.',
    {
      mechanism: seen('PLAIN, LOGIN, SCRAM-SHA-1, SCRAM-SHA-256, XOAUTH2, OAUTHBEARER, and the -PLUS forms'),
      outcome: seen<'accepted' | 'refused' | 'failed'>('accepted, refused, failed'),
    },
  ),
}

export type SmtpMetrics = Opened<typeof smtpTable> & Partial<Opened<typeof authTable>>

export const smtpMetrics = (registry: MetricsRegistry): SmtpMetrics => openMetrics(smtpTable, registry)

/** With logins. */
export const submissionMetrics = (registry: MetricsRegistry): SmtpMetrics =>
  openMetrics({ ...smtpTable, ...authTable }, registry)
