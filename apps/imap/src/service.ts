import { openBlobs } from '@postbus/blobs'
import { directoryReady, mailstoreReady } from '@postbus/contracts'
import { connectionMetrics, connectionTable, listenTcp } from '@postbus/listener'
import { defineService, serves } from '@postbus/service'

import { AccountSessions } from './adapters/account-sessions.ts'
import { MailboxWatch } from './adapters/mailbox-watch.ts'
import { serving } from './adapters/serve.ts'
import { ImapConfig } from './config.ts'
import { connectionLimits, FEWEST_KNOWN } from './limits.ts'
import { counting, imapMetrics, imapTable } from './metrics.ts'
import { Allowance } from './session/allowance.ts'
import { KnownMessages } from './session/known-messages.ts'

export const imapService = defineService({
  name: 'imap',
  config: ImapConfig,
  metrics: [connectionTable, imapTable],

  async start({ config, log, bus, metrics, tracer, defer, probe }) {
    const { observe, ...counted } = counting(imapMetrics(metrics))
    const watch = new MailboxWatch(bus)
    defer(() => watch.close())
    const accounts = new AccountSessions(config.IMAP_MAX_SESSIONS_PER_ACCOUNT)
    const blobs = await openBlobs(config.BLOBS, config)
    defer(() => blobs.close())
    const session = serving({
      ports: {
        ...{ bus, blobs, watch, observe },
        admit: (account) => accounts.admit(account),
        readAhead: new Allowance(config.IMAP_READ_AHEAD_BYTES),
        known: new KnownMessages({ maxBytes: config.IMAP_KNOWN_BYTES, fewest: FEWEST_KNOWN }),
      },
      limits: connectionLimits(config),
      plaintextLogin: config.IMAP_PLAINTEXT_LOGIN,
      bearerLogin: config.OAUTH_ISSUER !== undefined,
      log,
      tracer,
      ...counted,
    })
    const shared = {
      host: config.LISTEN_HOST,
      tls: { certFile: config.TLS_CERT_FILE, keyFile: config.TLS_KEY_FILE },
      trustedProxies: config.IMAP_PROXY_NETWORKS,
      maxConnections: config.IMAP_MAX_CONNECTIONS,
      maxConnectionsPerClient: config.IMAP_MAX_CONNECTIONS_PER_ADDRESS,
      unlimitedClients: config.IMAP_UNLIMITED_CLIENTS,
      refusal: () => '* BYE [UNAVAILABLE] Too many connections, try again later\r\n',
      metrics: connectionMetrics(metrics),
      log,
    }
    const listeners = await Promise.all([
      listenTcp(session, { ...shared, port: config.IMAP_PORT }),
      listenTcp(session, { ...shared, port: config.IMAPS_PORT, implicitTls: true }),
    ])
    // Both at once: a client that is told to go must not come in by the other door.
    defer(async () => void (await Promise.all(listeners.map((listener) => listener.close(config.DRAIN_DEADLINE_MS)))))
    log.info({ ports: listeners.map(({ port }) => port) }, 'listening')
    probe('directory', serves(bus, directoryReady))
    probe('mailstore', serves(bus, mailstoreReady))
  },
})
