import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { type Bus, statusWriter } from '@postbus/bus'
import { actOnTasks, LANES, type MailOut, MailOut as Task, MailStatus, shardOf } from '@postbus/contracts'
import { dnsMetrics, dnsOptions, dnsResolver } from '@postbus/dns'
import { defineService } from '@postbus/service'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { isAddress, isPrivate } from './adapters/addresses.ts'
import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { queueOnBus } from './adapters/queue-on-bus.ts'
import { signingKeysOver } from './adapters/signing-keys.ts'
import { SmtpClient } from './adapters/smtp-client.ts'
import { attempt, type AttemptPorts, groupOf } from './attempt/attempt.ts'
import { classifier } from './attempt/classify.ts'
import { contentOf } from './attempt/content.ts'
import { type Destination, type DestinationRules, destinationOf, type DnsPorts } from './attempt/destination.ts'
import type { Outcome } from './attempt/outcome.ts'
import { type ReplyRule, rulesFrom } from './attempt/reply-rules.ts'
import { type Sign, signer } from './attempt/sign.ts'
import { suspend } from './attempt/suspend.ts'
import { Turns } from './attempt/turns.ts'
import { DeliveryConfig } from './config.ts'
import { onAct } from './handlers/act.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { answerOutcomes } from './handlers/outcomes.ts'
import { makeKnown } from './handlers/replica.ts'
import { systemClock } from './lanes/clock.ts'
import { ownLanes, type WorkedLane } from './lanes/own-lanes.ts'
import { Replicas } from './lanes/replicas.ts'
import { scheduler } from './lanes/scheduler.ts'
import { type DeliveryMetrics, deliveryMetrics } from './metrics.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000
/** Signatures are about a kibibyte each; a message to many sites is signed once as long as they are remembered. */
const SIGNATURES_REMEMBERED = 2000
/** Domains whose keys are remembered. */
const KEYS_REMEMBERED = 10_000
/** Other replicas answer a newcomer at once. */
const SETTLE_MS = 500
/** Hints may be lost; three in a row hardly are. */
const MISSED_HEARTBEATS = 3

export const deliveryService = defineService<DeliveryConfig>({
  name: 'delivery',
  config: DeliveryConfig,
  async start({ config, log, bus, metrics: registry, defer, signal }) {
    const classify = classifier(await ownRules(config))
    await bus.provisioned([Task, MailStatus], signal)
    const ledger = await sqlLedger(openSqlite<Tables>(config.DELIVERY_DATABASE))
    defer(() => ledger.close())
    const answering = await answerOutcomes(bus, ledger)
    defer(() => answering.stop())
    const spool = openSpoolReader({ dir: config.SPOOL_DIR })
    defer(() => spool.close())
    const client = clientOf(config)
    defer(() => client.close())
    const metrics = deliveryMetrics(registry)
    const dns = dnsResolver({ ...dnsOptions(config), ...dnsMetrics(registry, 'delivery') })
    defer(() => dns.close())
    const rules = rulesOf(config)
    const schedule = {
      firstMs: config.DELIVERY_RETRY_FIRST_MS,
      longestMs: config.DELIVERY_RETRY_LONGEST_MS,
      jitter: config.DELIVERY_RETRY_JITTER,
      soonMs: config.DELIVERY_RETRY_GREYLIST_MS,
      soonAttempts: config.DELIVERY_RETRY_GREYLIST_ATTEMPTS,
    }
    const world = {
      ...{ ledger, classify, open: client.open },
      destination: (task: MailOut) => destinationFor(task, dns, rules),
      isOurselves: (name: string) => isSameHost(name, config.MAIL_HOSTNAME),
      now: () => new Date(),
      random: Math.random,
    }
    const { sign, close: closeSigning } = signing(config, bus, metrics)
    defer(closeSigning)
    const everywhere = config.DELIVERY_SMARTHOST === undefined ? undefined : `smtp:${config.DELIVERY_SMARTHOST}`
    const lanes = Array.from({ length: LANES }, (_, lane) => String(lane).padStart(2, '0'))
    const replica = randomUUID()
    const aliveMs = MISSED_HEARTBEATS * config.DELIVERY_HEARTBEAT_MS
    const replicas = new Replicas({ ...{ own: replica, lanes, aliveMs }, clock: systemClock })
    const sites = scheduler<MailOut, Outcome>(
      {
        transact: (tasks) =>
          withRecord(spool, sign, tasks, (message) => attempt(tasks, { ...world, ...message }, schedule)),
        suspend: (tasks, trouble, until) => suspend(tasks, trouble, until, world, schedule),
        policyOf: ({ site, via = everywhere }) => (via === undefined ? { key: site } : { key: via, shared: true }),
        replicas: () => replicas.live,
        groupOf,
        submitterOf: ({ submitter, reversePath }) => submitter ?? reversePath,
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
    const turns = new Turns()
    const queue = queueOnBus(bus)
    const writeStatuses = statusWriter(bus).write
    const handler = onMailOut({
      ...{ ledger, turns, writeStatuses },
      attempt: sites.submit,
      publish: (contract, event, options) => bus.publish(contract, event, options),
      async clearHold(task) {
        const held = await queue.look('hold', task)
        if (held !== null && held.task.attempt < task.attempt) await queue.removeHeld(held)
      },
      counted: metrics.counted,
    })
    const actPorts = {
      ...{ ledger, turns, queue, writeStatuses, now: world.now },
      waitMs: config.DELIVERY_ACT_WAIT_MS,
      acted: metrics.acted,
    }

    const pruning = setInterval(() => {
      const before = new Date(Date.now() - config.DELIVERY_LEDGER_DAYS * DAY_MS)
      ledger.prune(before, PRUNE_AT_ONCE).catch((err: unknown) => log.error({ err }, 'cannot prune the ledger'))
    }, PRUNE_EVERY_MS)
    defer(() => clearInterval(pruning))

    const placeOf = (lane: string) => ({ lane, shard: String(shardOf(lane, config.MAIL_OUT_SHARDS)) })
    const workOn = async (lane: string): Promise<WorkedLane> => {
      const shard = shardOf(lane, config.MAIL_OUT_SHARDS)
      const answering = await bus.answer(actOnTasks, onAct({ lane, shard }, actPorts), { tokens: { lane } })
      try {
        const options = { maxInFlight: config.DELIVERY_LANE_IN_FLIGHT, tokens: placeOf(lane) }
        const consuming = await bus.consume(Task, 'delivery', options, handler)
        return {
          drain: async () => void (await Promise.all([answering.stop(), consuming.drain()])),
          stop: async () => void (await Promise.all([answering.stop(), consuming.stop()])),
        }
      } catch (error) {
        await answering.stop()
        throw error
      }
    }
    metrics.watch({ scheduler: () => sites.state, replicas: () => replicas.live })
    const leave = makeKnown(bus, replica, replicas, config.DELIVERY_HEARTBEAT_MS)
    signal.addEventListener('abort', () => void leave(), { once: true })
    const owning = ownLanes(
      lanes,
      {
        acquire: (lane, { patienceMs, signal: until }) =>
          bus.acquireLease(`lane.${placeOf(lane).shard}.${lane}`, {
            ...{ ttlMs: config.DELIVERY_LEASE_MS, patienceMs, signal: until },
          }),
        work: workOn,
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

function signing(
  config: DeliveryConfig,
  bus: Bus,
  { signed }: DeliveryMetrics,
): { sign: Sign; close(): Promise<void> } {
  if (config.DELIVERY_DKIM === 'off') return { sign: async () => '', close: async () => {} }
  const { keysOf, generation, close } = signingKeysOver(bus, {
    cacheEntries: KEYS_REMEMBERED,
    cacheMs: config.DELIVERY_DKIM_CACHE_MS,
    staleMs: config.DELIVERY_DKIM_STALE_MS,
    now: () => performance.now(),
  })
  return { sign: signer({ keysOf, generation, now: () => new Date(), signed }, SIGNATURES_REMEMBERED), close }
}

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

/** Read once, at the start: a row that cannot be used is found then and not with the first reply it should have matched. */
async function ownRules({ DELIVERY_REPLY_RULES_FILE: file }: DeliveryConfig): Promise<ReplyRule[]> {
  if (file === undefined) return []
  try {
    return rulesFrom(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new Error(`DELIVERY_REPLY_RULES_FILE ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

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
    families: config.DELIVERY_ADDRESS_FAMILIES,
    ourselves: new Set([config.MAIL_HOSTNAME, ...config.DELIVERY_OURSELVES].map((name) => name.toLowerCase())),
    random: Math.random,
    ...{ isAddress, isPrivate },
  }
}

/** Opens the message once for all hosts that are tried. @throws NoSuchRecord, CorruptRecord */
async function withRecord<Result>(
  spool: SpoolReader,
  sign: Sign,
  [first]: readonly MailOut[],
  work: (message: Pick<AttemptPorts, 'body' | 'content' | 'signature'>) => Promise<Result>,
): Promise<Result> {
  if (first === undefined) throw new Error('a transaction without a task')
  const record = await spool.open(first.queueId)
  const body = () => record.read()
  try {
    return await work({ body, content: () => contentOf(body()), signature: () => sign(first, body) })
  } finally {
    await record.close()
  }
}
