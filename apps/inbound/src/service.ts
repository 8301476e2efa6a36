/** inbound's wiring: spool and intake behind the listener, the directory beside it. */
import { Resolver } from 'node:dns/promises'

import { MailAccepted } from '@postbus/contracts'
import { findRecipient, resolverOver } from '@postbus/directory-client'
import { createIntake } from '@postbus/intake'
import { listenSmtp, smtpMetrics } from '@postbus/listener'
import { defineService } from '@postbus/service'
import { openSpoolWriter } from '@postbus/spool'

import { type ReverseName, reverseNames } from './adapters/reverse-name.ts'
import { InboundConfig } from './config.ts'
import { inboundHandlers } from './handlers/smtp.ts'
import { flushMetrics } from './metrics.ts'

/** Of the drain deadline, for sessions that are inside a message; the rest is for what they leave to be written. */
const SHARE_FOR_SESSIONS = 0.6

export const inboundService = defineService({
  name: 'inbound',
  config: InboundConfig,

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
      maxHeaderBytes: config.INBOUND_MAX_HEADER_BYTES,
      maxHops: config.INBOUND_MAX_HOPS,
    })
    defer(() => intake.drain())
    const directory = resolverOver(bus, {
      cacheEntries: config.INBOUND_CACHE_ENTRIES,
      cacheMs: config.INBOUND_CACHE_MS,
      now: () => performance.now(),
    })
    defer(() => directory.close())

    const handlers = inboundHandlers(
      {
        intake,
        reverseName: reverseNameOf(config),
        findRecipient: (forwardPath) => findRecipient(forwardPath, directory.resolve),
      },
      config.INBOUND_MAX_MESSAGE_BYTES,
    )
    const listener = await listenSmtp(handlers, {
      name: config.MAIL_HOSTNAME,
      host: config.LISTEN_HOST,
      port: config.INBOUND_PORT,
      ...(config.TLS_CERT_FILE &&
        config.TLS_KEY_FILE && { tls: { certFile: config.TLS_CERT_FILE, keyFile: config.TLS_KEY_FILE } }),
      maxMessageOctets: config.INBOUND_MAX_MESSAGE_BYTES,
      maxRecipients: config.INBOUND_MAX_RECIPIENTS,
      maxTextLine: config.INBOUND_MAX_TEXT_LINE,
      bareLineEndings: config.INBOUND_BARE_LINE_ENDINGS,
      maxBadCommands: config.INBOUND_MAX_BAD_COMMANDS,
      maxRefusedRecipients: config.INBOUND_MAX_REFUSED_RECIPIENTS,
      maxConnections: config.INBOUND_MAX_CONNECTIONS,
      maxConnectionsPerClient: config.INBOUND_MAX_CONNECTIONS_PER_CLIENT,
      idleTimeoutMs: config.INBOUND_IDLE_TIMEOUT_MS,
      trustedProxies: config.INBOUND_PROXY_NETWORKS,
      metrics: smtpMetrics(registry, 'inbound'),
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
