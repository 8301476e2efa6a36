import { setTimeout as pause } from 'node:timers/promises'

import { type Bus, statusWriter } from '@postbus/bus'
import { LANES, type MailOut, MailOut as Task, MailStatus, shardOf } from '@postbus/contracts'
import { dnsMetrics, dnsOptions, dnsResolver } from '@postbus/dns'
import { defineService } from '@postbus/service'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { isAddress, isPrivate } from './adapters/addresses.ts'
import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { signingKeysOver } from './adapters/signing-keys.ts'
import { SmtpClient } from './adapters/smtp-client.ts'
import { attempt, type AttemptPorts, groupOf } from './attempt/attempt.ts'
import { contentOf } from './attempt/content.ts'
import { type DestinationRules, destinationOf } from './attempt/destination.ts'
import type { Outcome } from './attempt/outcome.ts'
import { patientLedger } from './attempt/patient-ledger.ts'
import { type Sign, signer } from './attempt/sign.ts'
import { DeliveryConfig } from './config.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { answerOutcomes } from './handlers/outcomes.ts'
import { ownLanes } from './lanes/own-lanes.ts'
import { sites } from './lanes/sites.ts'
import { type DeliveryMetrics, deliveryMetrics } from './metrics.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000
/** Signatures are about a kibibyte each; a message to many sites is signed once as long as they are remembered. */
const SIGNATURES_REMEMBERED = 2000
/** Domains whose keys are remembered. */
const KEYS_REMEMBERED = 10_000

export const deliveryService = defineService<DeliveryConfig>({
  name: 'delivery',
  config: DeliveryConfig,
  async start({ config, log, bus, metrics: registry, defer, signal }) {
    await bus.provisioned([Task, MailStatus], signal)
    const ledger = patientLedger(await sqlLedger(openSqlite<Tables>(config.DELIVERY_DATABASE)), {
      sleep: (ms, until) => pause(ms, undefined, { signal: until }).catch(() => {}),
      waiting: (err) =>
        log.error({ err }, 'outcomes cannot be written to the ledger; nothing is attempted until they are'),
      recovered: () => log.info('the ledger takes outcomes again'),
    })
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
    }
    const world = {
      ...{ ledger, open: client.open },
      destination: (site: string) => destinationOf(site, dns, rules),
      isOurselves: (name: string) => isSameHost(name, config.MAIL_HOSTNAME),
      now: () => new Date(),
      random: Math.random,
    }
    const { sign, close: closeSigning } = signing(config, bus, metrics)
    defer(closeSigning)
    const queue = sites<MailOut, Outcome>(
      (tasks) => {
        ledger.check()
        return withRecord(spool, sign, tasks, (message) => attempt(tasks, { ...world, ...message }, schedule))
      },
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
