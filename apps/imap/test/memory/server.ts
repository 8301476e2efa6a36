/** The front end on a loopback port, with everything behind it in memory. */
import { readFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'

import { connectionMetrics, listenTcp } from '@postbus/listener'
import { testCertificate } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { AccountSessions } from '../../src/adapters/account-sessions.ts'
import { MailboxWatch } from '../../src/adapters/mailbox-watch.ts'
import { serving } from '../../src/adapters/serve.ts'
import { ImapConfig } from '../../src/config.ts'
import type { ConnectionLimits } from '../../src/connection-context.ts'
import { connectionLimits } from '../../src/limits.ts'
import { counting, imapMetrics } from '../../src/metrics.ts'
import { MemoryBlobs } from './blobs.ts'
import { MemoryBus } from './bus.ts'
import { Allowance } from '../../src/session/allowance.ts'
import { KnownMessages } from '../../src/session/known-messages.ts'
import { accountOf, MemoryDirectory } from './directory.ts'
import { MemoryMailstore } from './mailstore.ts'

export const ANN = accountOf('ann@example.test')
export const PASSWORD = 'secret'

export interface ServerOptions {
  plaintextLogin?: boolean
  bearerLogin?: boolean
  limits?: Partial<ConnectionLimits>
  sessionsPerAccount?: number
}

export interface Server {
  port: number
  tlsPort: number
  /** PEM, for clients that verify. */
  ca: string
  /** PEM of the server itself. */
  certificate: string
  bus: MemoryBus
  blobs: MemoryBlobs
  directory: MemoryDirectory
  mailstore: MemoryMailstore
  metrics: Registry
  close(): Promise<void>
}

export async function startServer(t: TestContext, options: ServerOptions = {}): Promise<Server> {
  const tls = await testCertificate(t)
  const bus = new MemoryBus()
  const blobs = new MemoryBlobs()
  const directory = new MemoryDirectory()
  for (const name of ['ann', 'bob']) directory.passwords.set(`${name}@example.test`, PASSWORD)
  // RFC 7677 §3, RFC 7628 §4.1
  directory.passwords.set('user', 'pencil')
  directory.bearers.set('vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==', 'user')
  await directory.answer(bus)
  const mailstore = new MemoryMailstore(bus, blobs, directory)
  await mailstore.answer()

  const config = ImapConfig.parse({ TLS_CERT_FILE: tls.certFile, TLS_KEY_FILE: tls.keyFile })
  const metrics = new Registry()
  const log = pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' })
  const { observe, ...counted } = counting(imapMetrics(metrics))
  const watch = new MailboxWatch(bus)
  const accounts = new AccountSessions(options.sessionsPerAccount ?? 10)
  const session = serving({
    ports: {
      ...{ bus, blobs, watch, observe },
      admit: (account) => accounts.admit(account),
      readAhead: new Allowance(config.IMAP_READ_AHEAD_BYTES),
      // Mailboxes of these tests are small.
      known: new KnownMessages({ maxBytes: config.IMAP_KNOWN_BYTES, fewest: 1 }),
    },
    // What a transcript says must not depend on how long it takes.
    limits: { ...connectionLimits(config), steadyLookMs: Infinity, ...options.limits },
    plaintextLogin: options.plaintextLogin ?? true,
    bearerLogin: options.bearerLogin ?? false,
    log,
    ...counted,
  })
  const shared = {
    ...{ host: '127.0.0.1', port: 0, tls, log, metrics: connectionMetrics(metrics) },
    refusal: () => '* BYE [UNAVAILABLE] Too many connections, try again later\r\n',
  }
  const listeners = await Promise.all([
    listenTcp(session, shared),
    listenTcp(session, { ...shared, implicitTls: true }),
  ])
  const close = async (): Promise<void> => void (await Promise.all(listeners.map((listener) => listener.close(2000))))
  t.after(async () => {
    await close()
    await watch.close()
  })
  const [plain, secure] = listeners
  return {
    port: plain?.port ?? 0,
    tlsPort: secure?.port ?? 0,
    ca: tls.ca,
    certificate: await readFile(tls.certFile, 'utf8'),
    bus,
    blobs,
    directory,
    mailstore,
    metrics,
    close,
  }
}
