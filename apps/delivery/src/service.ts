import { readFile } from 'node:fs/promises'

import { statusWriter } from '@postbus/bus'
import { LANES, type MailOut, MailOut as Task, MailStatus, shardOf } from '@postbus/contracts'
import { defineService } from '@postbus/service'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { isAddress, isPrivate } from './adapters/addresses.ts'
import { dnsOver } from './adapters/dns.ts'
import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { SmtpClient } from './adapters/smtp-client.ts'
import { attempt, groupOf } from './attempt/attempt.ts'
import { classifier } from './attempt/classify.ts'
import { contentOf } from './attempt/content.ts'
import { type DestinationRules, destinationOf } from './attempt/destination.ts'
import type { Outcome } from './attempt/outcome.ts'
import { type ReplyRule, rulesFrom } from './attempt/reply-rules.ts'
import { DeliveryConfig } from './config.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { ownLanes } from './lanes/own-lanes.ts'
import { sites } from './lanes/sites.ts'
import { deliveryMetrics } from './metrics.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000

export const deliveryService = defineService<DeliveryConfig>({
  name: 'delivery',
  config: DeliveryConfig,
  async start({ config, log, bus, metrics: registry, defer, signal }) {
    const classify = classifier(await ownRules(config))
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
      soonMs: config.DELIVERY_RETRY_GREYLIST_MS,
      soonAttempts: config.DELIVERY_RETRY_GREYLIST_ATTEMPTS,
    }
    const world = {
      ...{ ledger, classify, open: client.open },
      destination: (site: string) => destinationOf(site, dns, rules),
      isOurselves: (name: string) => isSameHost(name, config.MAIL_HOSTNAME),
      now: () => new Date(),
      random: Math.random,
    }
    const queue = sites<MailOut, Outcome>(
      (tasks) =>
        withRecord(spool, tasks, async (message) => {
          const { outcomes } = await attempt(tasks, { ...world, ...message }, schedule)
          return outcomes
        }),
      {
        siteOf: ({ site }) => site,
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
