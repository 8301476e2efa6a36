import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { type Bus, statusWriter } from '@postbus/bus'
import {
  actOnTasks,
  directoryReady,
  laneOf,
  LANES,
  MailHold,
  type MailOut,
  MailOut as Task,
  MailStatus,
  QueueId,
  shardOf,
} from '@postbus/contracts'
import { dnsMetrics, dnsOptions, dnsResolver, dnsTable } from '@postbus/dns'
import { defineService, LastFailure, serves } from '@postbus/service'
import { databaseOptions, databaseTable, openDatabase } from '@postbus/sql'
import { currentTrace, traced } from '@postbus/tracing'

import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { queueOnBus } from './adapters/queue-on-bus.ts'
import { type SigningKeys, signingKeysOver } from './adapters/signing-keys.ts'
import { transactionThreads } from './adapters/threads/threads.ts'
import { tracedTasks } from './adapters/traced-tasks.ts'
import { keepTransports } from './adapters/transports.ts'
import { attempt, groupOf, type HostRoute, submitterOf } from './attempt/attempt.ts'
import { destinationOf } from './attempt/destination.ts'
import type { Outcome } from './attempt/outcome.ts'
import { patientLedger } from './attempt/patient-ledger.ts'
import { suspend } from './attempt/suspend.ts'
import { Turns } from './attempt/turns.ts'
import { DeliveryConfig } from './config.ts'
import { onAct } from './handlers/act.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { answerOutcomes } from './handlers/outcomes.ts'
import { makeKnown } from './handlers/replica.ts'
import { answerRoute } from './handlers/route.ts'
import { systemClock } from './lanes/clock.ts'
import { Hands } from './lanes/hands.ts'
import { ownLanes, type WorkedLane } from './lanes/own-lanes.ts'
import { Replicas } from './lanes/replicas.ts'
import { scheduler } from './lanes/scheduler.ts'
import { deliveryMetrics, deliveryTable } from './metrics.ts'
import { destinationRules, laneOptions, lastResortOf, retrySchedule, schedulerOptions } from './options.ts'
import { expiryOf, routeOf, type Routed } from './routing/route-of.ts'
import { type NextHopWay, type Route, sitePolicyOf } from './routing/route.ts'
import { attemptEach } from './routing/share-transaction.ts'
import { openTransactions } from './transaction.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000
/** Domains whose keys are remembered. */
const KEYS_REMEMBERED = 10_000
/** Hints may be lost; three in a row hardly are. */
const MISSED_HEARTBEATS = 3

/** Nothing follows a status but the acknowledgement, and lanes have hands enough: custody has fewer commits to make. */
const STATUS_LINGER_MS = 30

/** No task: to see whether the ledger answers. */
const NOBODY = { queueId: QueueId.parse('0'.repeat(26)), n: '0'.repeat(16) }

export const deliveryService = defineService<DeliveryConfig>({
  name: 'delivery',
  config: DeliveryConfig,
  metrics: [deliveryTable, dnsTable, databaseTable],
  async start({ config, log, bus, metrics: registry, defer, readiness, probe, signal }) {
    await bus.provisioned([Task, MailStatus, MailHold], signal)
    const metrics = deliveryMetrics(registry)

    const waitsForLedger = new LastFailure('ledger', { holdsMs: Infinity })
    const options = { schema: 'delivery', flushBeside: true, ...databaseOptions(config, log, registry) }
    const ledger = patientLedger(await sqlLedger(openDatabase<Tables>(config.DELIVERY_DATABASE, options)), {
      sleep: (ms, until) => pause(ms, undefined, { signal: until }).catch(() => {}),
      waiting(err) {
        waitsForLedger.failed(err)
        log.error({ err }, 'outcomes cannot be written to the ledger; nothing is attempted until they are')
      },
      recovered() {
        waitsForLedger.worked()
        log.info('the ledger takes outcomes again')
      },
    })
    defer(() => ledger.close())
    readiness(() => waitsForLedger.reason())
    probe('database', () => ledger.find(NOBODY))
    probe('directory', serves(bus, directoryReady))
    const pruning = setInterval(() => {
      const before = new Date(Date.now() - config.DELIVERY_LEDGER_DAYS * DAY_MS)
      ledger.prune(before, PRUNE_AT_ONCE).catch((err: unknown) => log.error({ err }, 'cannot prune the ledger'))
    }, PRUNE_EVERY_MS)
    defer(() => clearInterval(pruning))
    const dns = dnsResolver({ ...dnsOptions(config), ...dnsMetrics(registry) })
    defer(() => dns.close())
    const keys = signingKeysOf(config, bus)
    defer(() => keys?.close())
    const here = await openTransactions(config, keys, metrics)
    const { transact, close: closeTransactions } = transactionThreads(here, config, keys, metrics)
    defer(closeTransactions)

    const transports = keepTransports(bus, {
      refreshMs: config.DELIVERY_TRANSPORTS_REFRESH_MS,
      failed: (err) => log.warn({ err }, 'the directory does not say where mail goes; what was known holds'),
    })
    defer(() => transports.stop())
    const lastResort = lastResortOf(config)
    const routes = (task: Routed): Route => routeOf(task, transports.current(), lastResort)
    const rules = destinationRules(config)
    const destination = (way: NextHopWay) => traced('find hosts', {}, () => destinationOf(way, dns, rules))

    const schedule = retrySchedule(config)
    const attempts = {
      ledger,
      async deliver(tasks: readonly [MailOut, ...MailOut[]], route: HostRoute) {
        const ended = metrics.transacting()
        try {
          return await transact(tasks, route, () => destination(route.way))
        } finally {
          ended()
        }
      },
      expiryOf: (task: MailOut) => expiryOf(task, routes(task).policy),
      now: () => new Date(),
      random: Math.random,
    }
    const lanes = Array.from({ length: LANES }, (_, lane) => String(lane).padStart(2, '0'))
    const replica = randomUUID()
    const aliveMs = MISSED_HEARTBEATS * config.DELIVERY_HEARTBEAT_MS
    const replicas = new Replicas({ ...{ own: replica, lanes, aliveMs }, clock: systemClock })
    const hands = new Hands(config.DELIVERY_LANE_IN_FLIGHT)
    const traces = tracedTasks()
    const sites = scheduler<MailOut, Outcome>(
      {
        async transact(tasks) {
          ledger.check()
          metrics.begun(tasks)
          return attemptEach(tasks, routes, (shared, route) =>
            traces.attempt(shared, () => attempt(shared, route, attempts, schedule)),
          )
        },
        suspend: (tasks, trouble, until) => suspend(tasks, trouble, until, attempts, schedule),
        policyOf: (task) => sitePolicyOf(routes(task), config.DELIVERY_SMARTHOST_CONCURRENCY),
        replicas: () => replicas.live,
        ...{ groupOf, submitterOf },
        spillsOf: ({ spills }) => spills,
        crowded: ({ site }) => hands.crowded(laneOf(site)),
        ...{ spilled: metrics.spilled, suspended: metrics.suspended },
        ...{ clock: systemClock, random: Math.random },
      },
      schedulerOptions(config),
    )
    metrics.watch({
      scheduler: () => sites.state,
      replicas: () => replicas.live,
      slots: schedulerOptions(config).transactions,
    })

    const turns = new Turns()
    const queue = queueOnBus(bus)
    const writeStatuses = statusWriter(bus, { lingerMs: STATUS_LINGER_MS }).write
    const handler = onMailOut({
      ...{ ledger, turns, writeStatuses },
      attempt(task, until) {
        traces.note(task)
        return sites.submit(task, until)
      },
      publish: (contract, event, options) => bus.publish(contract, event, options),
      async clearHold(task) {
        const held = await queue.look('hold', task)
        if (held !== null && held.task.attempt < task.attempt) await queue.removeHeld(held)
      },
      counted: (task, outcome) => metrics.counted(task, outcome, currentTrace()?.traceId),
    })
    const acts = {
      ...{ ledger, turns, queue, writeStatuses, now: attempts.now },
      waitMs: config.DELIVERY_ACT_WAIT_MS,
      acted: metrics.acted,
    }
    const answering = await Promise.all([
      answerOutcomes(bus, ledger),
      answerRoute(bus, { routeOf: routes, destination }),
    ])
    defer(async () => void (await Promise.all(answering.map((answer) => answer.stop()))))

    const shardOfLane = (lane: string): number => shardOf(lane, config.MAIL_OUT_SHARDS)
    const work = async (lane: string): Promise<WorkedLane> => {
      const shard = shardOfLane(lane)
      const answer = await bus.answer(actOnTasks, onAct({ lane, shard }, acts), { tokens: { lane } })
      try {
        const tokens = { lane, shard: String(shard) }
        const consuming = await bus.consume(
          Task,
          'delivery',
          { maxInFlight: config.DELIVERY_LANE_IN_FLIGHT, tokens },
          hands.counted(lane, handler),
        )
        return {
          drain: async () => void (await Promise.all([answer.stop(), consuming.drain()])),
          stop: async () => void (await Promise.all([answer.stop(), consuming.stop()])),
        }
      } catch (error) {
        await answer.stop()
        throw error
      }
    }
    const leave = makeKnown(bus, replica, replicas, config.DELIVERY_HEARTBEAT_MS)
    signal.addEventListener('abort', () => void leave(), { once: true })
    const owning = ownLanes(
      lanes,
      {
        work,
        acquire: (lane, { patienceMs, signal: until }) =>
          bus.acquireLease(`lane.${shardOfLane(lane)}.${lane}`, {
            ...{ ttlMs: config.DELIVERY_LEASE_MS, patienceMs, signal: until },
          }),
        isOurs: (lane) => replicas.isOurs(lane),
        get changed() {
          return replicas.changed
        },
        failed: (lane, err) => log.error({ err, lane }, 'cannot work on a lane'),
        owned: metrics.lanes,
        clock: systemClock,
      },
      laneOptions(config),
      signal,
    )
    defer(() => owning)
  },
})

/** Null: nothing is signed. */
function signingKeysOf(config: DeliveryConfig, bus: Bus): SigningKeys | null {
  if (config.DELIVERY_DKIM === 'off') return null
  return signingKeysOver(bus, {
    cacheEntries: KEYS_REMEMBERED,
    cacheMs: config.DELIVERY_DKIM_CACHE_MS,
    staleMs: config.DELIVERY_DKIM_STALE_MS,
    now: () => performance.now(),
  })
}
