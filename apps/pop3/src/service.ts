import { openBlobs } from '@postbus/blobs'
import { directoryReady, mailstoreReady } from '@postbus/contracts'
import { directoryLogins } from '@postbus/directory-client'
import { connectionMetrics, connectionTable, listenTcp, type Overload, type TcpListenOptions } from '@postbus/listener'
import { defineService, serves } from '@postbus/service'

import { Maildrops } from './adapters/maildrops.ts'
import { Pop3Config } from './config.ts'
import { serve, type ConnectionOptions } from './connection.ts'
import { pop3Metrics, pop3Table } from './metrics.ts'

const BUSY: Record<Overload, string> = {
  total: '-ERR [SYS/TEMP] Too many connections, try again later\r\n',
  client: '-ERR [SYS/TEMP] Too many connections from your address\r\n',
}

export const pop3Service = defineService<Pop3Config>({
  name: 'pop3',
  config: Pop3Config,
  metrics: [connectionTable, pop3Table],
  async start({ config, bus, log, metrics, tracer, defer, probe, signal }) {
    probe('directory', serves(bus, directoryReady))
    probe('mailstore', serves(bus, mailstoreReady))
    const blobs = await openBlobs(config.BLOBS, config)
    defer(() => blobs.close())
    const maildrops = new Maildrops(bus, blobs, { lockMs: config.POP3_LOCK_MS, signal })
    const session: ConnectionOptions = {
      plaintextLogin: config.POP3_PLAINTEXT_LOGIN,
      bearerLogin: config.OAUTH_ISSUER !== undefined,
      idleTimeoutMs: config.POP3_IDLE_TIMEOUT_MS,
      loginTimeoutMs: config.POP3_LOGIN_TIMEOUT_MS,
      maxBadCommands: config.POP3_MAX_BAD_COMMANDS,
      verifier: (clientAddress) => directoryLogins(bus, { clientAddress, service: 'pop3' }),
      openMaildrop: (granted) => maildrops.open(granted),
      metrics: pop3Metrics(metrics),
      log,
      tracer,
    }
    const common: Omit<TcpListenOptions, 'port'> = {
      host: config.LISTEN_HOST,
      tls: { certFile: config.TLS_CERT_FILE, keyFile: config.TLS_KEY_FILE },
      trustedProxies: config.POP3_PROXY_NETWORKS,
      maxConnections: config.POP3_MAX_CONNECTIONS,
      maxConnectionsPerClient: config.POP3_MAX_CONNECTIONS_PER_ADDRESS,
      unlimitedClients: config.POP3_UNLIMITED_CLIENTS,
      refusal: (reason) => BUSY[reason],
      metrics: connectionMetrics(metrics),
      log,
    }
    const listeners = await Promise.all([
      listenTcp((connection) => serve(connection, session), { ...common, port: config.POP3_PORT }),
      listenTcp((connection) => serve(connection, session), { ...common, port: config.POP3S_PORT, implicitTls: true }),
    ])
    defer(async () => void (await Promise.all(listeners.map((listener) => listener.close(config.DRAIN_DEADLINE_MS)))))
  },
})
