import { randomUUID } from 'node:crypto'

import { statusWriter } from '@postbus/bus'
import { LANES, type MailOut, MailOut as Task, MailStatus, shardOf, taskKey } from '@postbus/contracts'
import { defineService } from '@postbus/service'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { isAddress, isPrivate } from './adapters/addresses.ts'
import { dnsOver } from './adapters/dns.ts'
import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { SmtpClient } from './adapters/smtp-client.ts'
import { attempt, groupOf } from './attempt/attempt.ts'
import { contentOf } from './attempt/content.ts'
import { type Destination, type DestinationRules, destinationOf, type DnsPorts } from './attempt/destination.ts'
import type { Outcome } from './attempt/outcome.ts'
import { suspend } from './attempt/suspend.ts'
import { DeliveryConfig } from './config.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { makeKnown } from './handlers/replica.ts'
import { systemClock } from './lanes/clock.ts'
import { ownLanes } from './lanes/own-lanes.ts'
import { Replicas } from './lanes/replicas.ts'
import { scheduler } from './lanes/scheduler.ts'
import { deliveryMetrics } from './metrics.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000
/** Other replicas answer a newcomer at once. */
const SETTLE_MS = 500
/** Hints may be lost; three in a row hardly are. */
const MISSED_HEARTBEATS = 3

export const deliveryService = defineService<DeliveryConfig>({
  name: 'delivery',
  config: DeliveryConfig,
  async start({ config, log, bus, metrics: registry, defer, signal }) {
    await bus.provisioned([Task, MailStatus], signal)
    const ledger = await sqlLedger(openSqlite<Tables>(config.DELIVERY_DATABASE))
    defer(() => ledger.close())
    const spool = openSpoolReader({ dir: config.SPOOL_DIR })
    defer(() => spool.close())
    const client = clientOf(config)
    defer(() => client.close())
    const metrics = deliveryMetrics(registry)
    const dns = dnsOver(config.DNS_SERVERS, config.DNS_TIMEOUT_MS)
    const rules = rulesOf(config)
    const schedule = {
      firstMs: config.DELIVERY_RETRY_FIRST_MS,
      longestMs: config.DELIVERY_RETRY_LONGEST_MS,
      jitter: config.DELIVERY_RETRY_JITTER,
    }
    const world = {
      ...{ ledger, open: client.open },
      destination: (task: MailOut) => destinationFor(task, dns, rules),
      isOurselves: (name: string) => isSameHost(name, config.MAIL_HOSTNAME),
      now: () => new Date(),
      random: Math.random,
    }
    const everywhere = config.DELIVERY_SMARTHOST === undefined ? undefined : `smtp:${config.DELIVERY_SMARTHOST}`
    const lanes = Array.from({ length: LANES }, (_, lane) => String(lane).padStart(2, '0'))
    const replica = randomUUID()
    const aliveMs = MISSED_HEARTBEATS * config.DELIVERY_HEARTBEAT_MS
    const replicas = new Replicas({ ...{ own: replica, lanes, aliveMs }, clock: systemClock })
    const queue = scheduler<MailOut, Outcome>(
      {
        transact: (tasks) => withRecord(spool, tasks, (message) => attempt(tasks, { ...world, ...message }, schedule)),
        suspend: (tasks, trouble, until) => suspend(tasks, trouble, until, world, schedule),
        policyOf: ({ site, via = everywhere }) => (via === undefined ? { key: site } : { key: via, shared: true }),
        replicas: () => replicas.live,
        groupOf,
        submitterOf: ({ submitter, reversePath }) => submitter ?? reversePath,
        keyOf: ({ queueId, n }) => taskKey(queueId, n),
        spilled: metrics.spilled,
        suspended: metrics.suspended,
        clock: systemClock,
        random: Math.random,
      },
      {
        transactions: config.DELIVERY_CONCURRENCY,
        concurrency: config.DELIVERY_SITE_CONCURRENCY,
        initialConcurrency: config.DELIVERY_SITE_INITIAL_CONCURRENCY,
        maxRecipients: config.DELIVERY_MAX_RECIPIENTS,
        gatherMs: config.DELIVERY_GATHER_MS,
        busyPauseMs: config.DELIVERY_BUSY_PAUSE_MS,
        breaker: {
          troubles: config.DELIVERY_BREAKER_TROUBLES,
          firstPauseMs: config.DELIVERY_BREAKER_FIRST_MS,
          longestPauseMs: config.DELIVERY_BREAKER_LONGEST_MS,
        },
        spill: {
          afterMs: config.DELIVERY_SPILL_AFTER_MS,
          minMs: config.DELIVERY_SPILL_MIN_MS,
          maxMs: config.DELIVERY_SPILL_MAX_MS,
        },
      },
    )
    const handler = onMailOut({
      ledger,
      attempt: queue.submit,
      writeStatuses: statusWriter(bus).write,
      publish: (contract, event, options) => bus.publish(contract, event, options),
      counted: metrics.counted,
    })

    const pruning = setInterval(() => {
      const before = new Date(Date.now() - config.DELIVERY_LEDGER_DAYS * DAY_MS)
      ledger.prune(before, PRUNE_AT_ONCE).catch((err: unknown) => log.error({ err }, 'cannot prune the ledger'))
    }, PRUNE_EVERY_MS)
    defer(() => clearInterval(pruning))

    const placeOf = (lane: string) => ({ lane, shard: String(shardOf(lane, config.MAIL_OUT_SHARDS)) })
    metrics.watch({ scheduler: () => queue.state, replicas: () => replicas.live })
    const leave = makeKnown(bus, replica, replicas, config.DELIVERY_HEARTBEAT_MS)
    signal.addEventListener('abort', () => void leave(), { once: true })
    const owning = ownLanes(
      lanes,
      {
        acquire: (lane, { patienceMs, signal: until }) =>
          bus.acquireLease(`lane.${placeOf(lane).shard}.${lane}`, {
            ...{ ttlMs: config.DELIVERY_LEASE_MS, patienceMs, signal: until },
          }),
        work: (lane) =>
          bus.consume(
            Task,
            'delivery',
            { maxInFlight: config.DELIVERY_LANE_IN_FLIGHT, tokens: placeOf(lane) },
            handler,
          ),
        isOurs: (lane) => replicas.isOurs(lane),
        get changed() {
          return replicas.changed
        },
        failed: (lane, err) => log.error({ err, lane }, 'cannot work on a lane'),
        owned: metrics.lanes,
        clock: systemClock,
      },
      {
        settleMs: SETTLE_MS,
        graceMs: config.DELIVERY_LANE_GRACE_MS,
        steadyMs: config.DELIVERY_LANE_STEADY_MS,
        handOverMs: config.DELIVERY_HAND_OVER_MS,
      },
      signal,
    )
    defer(() => owning)
  },
})

/** `via` is another way than the site's own. */
async function destinationFor({ site, via }: MailOut, dns: DnsPorts, rules: DestinationRules): Promise<Destination> {
  const [, kind, host = '', port] = /^(mx|smtp|lmtp):(.+?)(?::(\d+))?$/.exec(via ?? '') ?? []
  if (kind === 'mx') return destinationOf(host, dns, { ...rules, smarthost: null })
  // RFC 3463 §3.4: 4.3.5, system incorrectly configured.
  if (kind === 'lmtp') return { kind: 'temporary', status: '4.3.5', reason: 'No LMTP from here' }
  if (kind !== 'smtp') return destinationOf(site, dns, rules)
  const smarthost = { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
  return destinationOf(site, dns, { ...rules, smarthost })
}

/** A name without a dot is anybody's: many hosts call themselves localhost. */
const isSameHost = (name: string, own: string): boolean => own.includes('.') && name.toLowerCase() === own.toLowerCase()

function clientOf(config: DeliveryConfig): SmtpClient {
  const { DELIVERY_SMARTHOST_USER: user, DELIVERY_SMARTHOST_PASSWORD: password } = config
  return new SmtpClient({
    hostname: config.MAIL_HOSTNAME,
    auth: config.DELIVERY_SMARTHOST && user && password ? { user, password } : null,
    connectTimeoutMs: config.DELIVERY_CONNECT_TIMEOUT_MS,
    replyTimeoutMs: config.DELIVERY_REPLY_TIMEOUT_MS,
    dotTimeoutMs: config.DELIVERY_DOT_TIMEOUT_MS,
    idleMs: config.DELIVERY_IDLE_MS,
    maxMessages: config.DELIVERY_SESSION_MESSAGES,
  })
}

function rulesOf(config: DeliveryConfig): DestinationRules {
  const [, host, port] = /^(.+):(\d+)$/.exec(config.DELIVERY_SMARTHOST ?? '') ?? []
  return {
    port: config.DELIVERY_PORT,
    smarthost: host && port ? { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) } : null,
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
  work: (message: { body(): AsyncIterable<Uint8Array>; content(): ReturnType<typeof contentOf> }) => Promise<Result>,
): Promise<Result> {
  if (first === undefined) throw new Error('a transaction without a task')
  const record = await spool.open(first.queueId)
  try {
    return await work({ body: () => record.read(), content: () => contentOf(record.read()) })
  } finally {
    await record.close()
  }
}
