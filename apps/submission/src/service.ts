/** submission's wiring: spool and intake behind two listeners, the directory beside them. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'

import { MailAccepted } from '@postbus/contracts'
import { findRecipient, resolverOptions, resolverOver } from '@postbus/directory-client'
import { intakeTable, openIntake } from '@postbus/intake'
import {
  authTable,
  listenSmtp,
  smtpOptions,
  smtpTable,
  submissionMetrics,
  type SmtpListenOptions,
} from '@postbus/listener'
import { defineService } from '@postbus/service'

import { directoryOver } from './adapters/directory.ts'
import { SubmissionConfig } from './config.ts'
import { submissionHandlers } from './handlers/smtp.ts'

/** Of the drain deadline, for sessions that are inside a message; the rest is for what they leave to be written. */
const SHARE_FOR_SESSIONS = 0.6

export const submissionService = defineService({
  name: 'submission',
  config: SubmissionConfig,
  metrics: [smtpTable, authTable, intakeTable],

  async start({ config, log, bus, metrics: registry, defer, signal }) {
    await bus.provisioned([MailAccepted], signal)
    const intake = await openIntake({ name: 'submission', config, bus, log, metrics: registry, defer })
    const directory = resolverOver(bus, resolverOptions(config))
    defer(() => directory.close())

    const handlers = submissionHandlers(
      {
        ...directoryOver(bus),
        intake,
        findRecipient: (forwardPath) => findRecipient(forwardPath, directory.resolve),
        pause: (ms, gone) => wait(ms, undefined, { signal: gone }).catch(() => {}),
        now: () => new Date(),
        unique: randomUUID,
        domain: config.MAIL_HOSTNAME,
      },
      config.SMTP_MAX_MESSAGE_BYTES,
    )
    const common: Omit<SmtpListenOptions, 'port'> = {
      ...smtpOptions(config),
      tls: { certFile: config.TLS_CERT_FILE, keyFile: config.TLS_KEY_FILE },
      authRequired: true,
      bearerLogin: config.OAUTH_ISSUER !== undefined,
      metrics: submissionMetrics(registry),
      log,
    }
    const listeners = await Promise.all([
      listenSmtp(handlers, { ...common, port: config.SUBMISSION_PORT }),
      listenSmtp(handlers, { ...common, port: config.SUBMISSIONS_PORT, implicitTls: true }),
    ])
    defer(async () => {
      await Promise.all(listeners.map((listener) => listener.close(config.DRAIN_DEADLINE_MS * SHARE_FOR_SESSIONS)))
    })
    log.info({ ports: listeners.map(({ port }) => port) }, 'listening')
  },
})
