/** submission's wiring: spool and intake behind two listeners, the directory beside them. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'

import { MailAccepted } from '@postbus/contracts'
import { findRecipient, resolverOver } from '@postbus/directory-client'
import { createIntake } from '@postbus/intake'
import { listenSmtp, smtpMetrics, type SmtpListenOptions } from '@postbus/listener'
import { defineService } from '@postbus/service'
import { openSpoolWriter } from '@postbus/spool'

import { directoryOver } from './adapters/directory.ts'
import { SubmissionConfig } from './config.ts'
import { submissionHandlers } from './handlers/smtp.ts'
import { flushMetrics } from './metrics.ts'

/** Of the drain deadline, for sessions that are inside a message; the rest is for what they leave to be written. */
const SHARE_FOR_SESSIONS = 0.6

export const submissionService = defineService({
  name: 'submission',
  config: SubmissionConfig,

  async start({ config, log, bus, metrics: registry, defer, signal }) {
    await bus.provisioned([MailAccepted], signal)
    const spool = await openSpoolWriter({
      dir: config.SPOOL_DIR,
      writerName: config.SPOOL_WRITER,
      maxBytes: config.SPOOL_MAX_BYTES ?? Infinity,
      minFreeBytes: config.SPOOL_MIN_FREE_BYTES,
      onFlush: flushMetrics(registry),
    })
    defer(() => spool.close())
    const intake = createIntake({
      bus,
      spool,
      hostname: config.MAIL_HOSTNAME,
      log,
      maxHeaderBytes: config.SUBMISSION_MAX_HEADER_BYTES,
    })
    defer(() => intake.drain())
    const directory = resolverOver(bus, {
      cacheEntries: config.SUBMISSION_CACHE_ENTRIES,
      cacheMs: config.SUBMISSION_CACHE_MS,
      now: () => performance.now(),
    })
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
      config.SUBMISSION_MAX_MESSAGE_BYTES,
    )
    const common: Omit<SmtpListenOptions, 'port'> = {
      name: config.MAIL_HOSTNAME,
      host: config.LISTEN_HOST,
      tls: { certFile: config.TLS_CERT_FILE, keyFile: config.TLS_KEY_FILE },
      authRequired: true,
      maxMessageOctets: config.SUBMISSION_MAX_MESSAGE_BYTES,
      maxRecipients: config.SUBMISSION_MAX_RECIPIENTS,
      maxTextLine: config.SUBMISSION_MAX_TEXT_LINE,
      bareLineEndings: config.SUBMISSION_BARE_LINE_ENDINGS,
      maxBadCommands: config.SUBMISSION_MAX_BAD_COMMANDS,
      maxRefusedRecipients: config.SUBMISSION_MAX_REFUSED_RECIPIENTS,
      maxConnections: config.SUBMISSION_MAX_CONNECTIONS,
      maxConnectionsPerClient: config.SUBMISSION_MAX_CONNECTIONS_PER_CLIENT,
      idleTimeoutMs: config.SUBMISSION_IDLE_TIMEOUT_MS,
      trustedProxies: config.SUBMISSION_PROXY_NETWORKS,
      metrics: smtpMetrics(registry, 'submission'),
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
