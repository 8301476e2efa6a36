/** inbound's wiring: spool and intake behind the listener, the directory beside it. */
import { Resolver } from 'node:dns/promises'

import { MailAccepted } from '@postbus/contracts'
import { findRecipient, resolverOptions, resolverOver } from '@postbus/directory-client'
import { intakeTable, openIntake } from '@postbus/intake'
import { listenSmtp, smtpMetrics, smtpOptions, smtpTable } from '@postbus/listener'
import { defineService } from '@postbus/service'

import { type ReverseName, reverseNames } from './adapters/reverse-name.ts'
import { InboundConfig } from './config.ts'
import { inboundHandlers } from './handlers/smtp.ts'

/** Of the drain deadline, for sessions that are inside a message; the rest is for what they leave to be written. */
const SHARE_FOR_SESSIONS = 0.6

export const inboundService = defineService({
  name: 'inbound',
  config: InboundConfig,
  metrics: [smtpTable, intakeTable],

  async start({ config, log, bus, metrics: registry, defer, signal }) {
    await bus.provisioned([MailAccepted], signal)
    const intake = await openIntake({ name: 'inbound', config, bus, log, metrics: registry, defer })
    const directory = resolverOver(bus, resolverOptions(config))
    defer(() => directory.close())

    const handlers = inboundHandlers(
      {
        intake,
        reverseName: reverseNameOf(config),
        findRecipient: (forwardPath) => findRecipient(forwardPath, directory.resolve),
      },
      config.SMTP_MAX_MESSAGE_BYTES,
    )
    const listener = await listenSmtp(handlers, {
      ...smtpOptions(config),
      port: config.INBOUND_PORT,
      ...(config.TLS_CERT_FILE &&
        config.TLS_KEY_FILE && { tls: { certFile: config.TLS_CERT_FILE, keyFile: config.TLS_KEY_FILE } }),
      metrics: smtpMetrics(registry),
      log,
    })
    defer(() => listener.close(config.DRAIN_DEADLINE_MS * SHARE_FOR_SESSIONS))
    log.info({ port: listener.port }, 'listening')
  },
})

const MAX_LOOKUPS = 200
const NAMES_KEPT = 10_000
const NAME_KEPT_MS = 300_000

function reverseNameOf({ INBOUND_REVERSE_NAMES, INBOUND_REVERSE_TIMEOUT_MS }: InboundConfig): ReverseName {
  if (!INBOUND_REVERSE_NAMES) return async () => null
  return reverseNames({
    timeoutMs: INBOUND_REVERSE_TIMEOUT_MS,
    cacheEntries: NAMES_KEPT,
    cacheMs: NAME_KEPT_MS,
    maxLookups: MAX_LOOKUPS,
    now: () => performance.now(),
    resolver: new Resolver({ timeout: INBOUND_REVERSE_TIMEOUT_MS, tries: 1 }),
  })
}
