import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'

import { statusWriter } from '@postbus/bus'
import { LANES, MailHold, type MailOut, MailOut as Task, MailStatus, shardOf } from '@postbus/contracts'
import { defineService } from '@postbus/service'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { isAddress, isPrivate } from './adapters/addresses.ts'
import { dnsOver } from './adapters/dns.ts'
import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { type SessionWay, SmtpClient } from './adapters/smtp-client.ts'
import { keepTransports } from './adapters/transports.ts'
import { attempt, groupOf } from './attempt/attempt.ts'
import { messageOf } from './attempt/content.ts'
import { deliver } from './attempt/deliver.ts'
import { type DestinationRules, destinationOf, type Host } from './attempt/destination.ts'
import type { Message } from './attempt/fit.ts'
import type { Outcome } from './attempt/outcome.ts'
import { DeliveryConfig } from './config.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { answerRoute } from './handlers/route.ts'
import { ownLanes } from './lanes/own-lanes.ts'
import { sites } from './lanes/sites.ts'
import { deliveryMetrics } from './metrics.ts'
import { routeOf, type Routed, type Smarthost } from './routing/route-of.ts'
import type { NextHopWay, Route } from './routing/route.ts'
import { shareTransaction } from './routing/share-transaction.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000

export const deliveryService = defineService<DeliveryConfig>({
  name: 'delivery',
  config: DeliveryConfig,
  async start({ config, log, bus, metrics: registry, defer, signal }) {
    await bus.provisioned([Task, MailStatus, MailHold], signal)
    const ledger = await sqlLedger(openSqlite<Tables>(config.DELIVERY_DATABASE))
    defer(() => ledger.close())
    const spool = openSpoolReader({ dir: config.SPOOL_DIR })
    defer(() => spool.close())
    const client = await clientOf(config)
    defer(() => client.close())
    const transports = keepTransports(bus, {
      refreshMs: config.DELIVERY_TRANSPORTS_REFRESH_MS,
      failed: (err) => log.warn({ err }, 'the directory does not say where mail goes; what was known holds'),
    })
    defer(() => transports.stop())
    const metrics = deliveryMetrics(registry)
    const dns = dnsOver(config.DNS_SERVERS, config.DNS_TIMEOUT_MS)
    const rules = rulesOf(config)
    const lastResort = smarthostOf(config)
    const schedule = {
      firstMs: config.DELIVERY_RETRY_FIRST_MS,
      longestMs: config.DELIVERY_RETRY_LONGEST_MS,
      jitter: config.DELIVERY_RETRY_JITTER,
    }
    const routes = (task: Routed): Route => routeOf(task, transports.current(), lastResort)
    const destination = (way: NextHopWay) => destinationOf(way, dns, rules)
    const world = {
      ledger,
      deliver: (tasks: readonly [MailOut, ...MailOut[]], route: Route & { way: NextHopWay }) =>
        withRecord(spool, tasks, (message) => {
          const until = performance.now() + config.DELIVERY_CONNECT_TOTAL_MS
          return deliver(tasks, {
            message,
            hasTime: () => performance.now() < until,
            destination: () => destination(route.way),
            open: (host: Host, options: { requireTls: boolean; fresh: boolean }) =>
              client.open(host, options, sessionWayOf(route)),
            // Where an operator named the host it may be another program of ours.
            isOurselves: (name: string) => isDiscovered(route.way) && isSameHost(name, config.MAIL_HOSTNAME),
          })
        }),
      now: () => new Date(),
      random: Math.random,
    }
    const queue = sites<MailOut, Outcome>(
      async (tasks) => {
        const outcomes = new Map<MailOut, Outcome>()
        for (const { route, tasks: shared } of shareTransaction(tasks, routes)) {
          for (const [index, outcome] of (await attempt(shared, route, world, schedule)).entries()) {
            const task = shared[index]
            if (task) outcomes.set(task, outcome)
          }
        }
        return tasks.flatMap((task) => outcomes.get(task) ?? [])
      },
      {
        siteOf: (task) => routes(task).key,
        groupOf,
        maxRecipients: config.DELIVERY_MAX_RECIPIENTS,
        concurrencyPerSite: config.DELIVERY_SITE_CONCURRENCY,
        concurrency: config.DELIVERY_CONCURRENCY,
        gatherMs: config.DELIVERY_GATHER_MS,
      },
    )
    const handler = onMailOut({
      ledger,
      attempt: queue.submit,
      writeStatuses: statusWriter(bus).write,
      publish: (contract, event, options) => bus.publish(contract, event, options),
      counted: metrics.counted,
    })

    const answers = await answerRoute(bus, { routeOf: routes, destination })
    defer(() => answers.stop())

    const pruning = setInterval(() => {
      const before = new Date(Date.now() - config.DELIVERY_LEDGER_DAYS * DAY_MS)
      ledger.prune(before, PRUNE_AT_ONCE).catch((err: unknown) => log.error({ err }, 'cannot prune the ledger'))
    }, PRUNE_EVERY_MS)
    defer(() => clearInterval(pruning))

    const lanes = Array.from({ length: LANES }, (_, lane) => String(lane).padStart(2, '0'))
    const placeOf = (lane: string) => ({ lane, shard: String(shardOf(lane, config.MAIL_OUT_SHARDS)) })
    const owning = ownLanes(
      lanes,
      {
        acquire: (lane, until) =>
          bus.acquireLease(`lane.${placeOf(lane).shard}.${lane}`, { ttlMs: config.DELIVERY_LEASE_MS, signal: until }),
        work: (lane) =>
          bus.consume(
            Task,
            'delivery',
            { maxInFlight: config.DELIVERY_LANE_IN_FLIGHT, tokens: placeOf(lane) },
            handler,
          ),
        failed: (lane, err) => log.error({ err, lane }, 'cannot work on a lane'),
        owned: metrics.lanes,
      },
      signal,
    )
    defer(() => owning)
  },
})

/** A name without a dot is anybody's: many hosts call themselves localhost. */
const isSameHost = (name: string, own: string): boolean => own.includes('.') && name.toLowerCase() === own.toLowerCase()

const isDiscovered = (way: NextHopWay): boolean => way.kind === 'mx' && !way.named

function sessionWayOf({ way, tls, auth, policy }: Route & { way: NextHopWay }): SessionWay {
  const protocol = way.kind === 'lmtp' ? 'lmtp' : 'smtp'
  return { protocol, tls, auth, source: policy.source, helo: policy.helo, maxMessages: policy.sessionMessages }
}

async function clientOf(config: DeliveryConfig): Promise<SmtpClient> {
  const file = config.DELIVERY_CA_FILE
  return new SmtpClient({
    hostname: config.MAIL_HOSTNAME,
    sources: config.DELIVERY_SOURCE_POOLS,
    ...(file !== undefined && { ca: [...getCACertificates('default'), await readFile(file, 'utf8')] }),
    connectTimeoutMs: config.DELIVERY_CONNECT_TIMEOUT_MS,
    greetingTimeoutMs: config.DELIVERY_GREETING_TIMEOUT_MS,
    replyTimeoutMs: config.DELIVERY_REPLY_TIMEOUT_MS,
    dataTimeoutMs: config.DELIVERY_DATA_TIMEOUT_MS,
    blockTimeoutMs: config.DELIVERY_BLOCK_TIMEOUT_MS,
    dotTimeoutMs: config.DELIVERY_DOT_TIMEOUT_MS,
    idleMs: config.DELIVERY_IDLE_MS,
    maxIdle: config.DELIVERY_IDLE_SESSIONS,
    maxMessages: config.DELIVERY_SESSION_MESSAGES,
    tlsRetryMs: config.DELIVERY_TLS_RETRY_MS,
    now: () => performance.now(),
  })
}

function smarthostOf(config: DeliveryConfig): Smarthost | null {
  const [, host, port] = /^(.+):(\d+)$/.exec(config.DELIVERY_SMARTHOST ?? '') ?? []
  if (host === undefined || port === undefined) return null
  const { DELIVERY_SMARTHOST_USER: user, DELIVERY_SMARTHOST_PASSWORD: password } = config
  const auth = user && password ? { user, password } : null
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), auth }
}

function rulesOf(config: DeliveryConfig): DestinationRules {
  return {
    port: config.DELIVERY_PORT,
    allowPrivate: config.DELIVERY_ALLOW_PRIVATE,
    ourselves: new Set([config.MAIL_HOSTNAME, ...config.DELIVERY_OURSELVES].map((name) => name.toLowerCase())),
    random: Math.random,
    ...{ isAddress, isPrivate },
  }
}

/** Opens the message once for all hosts that are tried. @throws NoSuchRecord, CorruptRecord */
async function withRecord<Result>(
  spool: SpoolReader,
  [first]: readonly MailOut[],
  work: (message: Message) => Promise<Result>,
): Promise<Result> {
  if (first === undefined) throw new Error('a transaction without a task')
  const record = await spool.open(first.queueId)
  try {
    return await work(messageOf(() => record.read()))
  } finally {
    await record.close()
  }
}
