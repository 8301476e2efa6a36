/**
 * The resident provisioner: makes the streams, consumers and buckets that the contracts name, and makes them again when
 * they are gone. Nothing is ever deleted here, and everything may run several times at once.
 *
 * A stream begins its numbers where no earlier stream of its name can have come to: at the time of its making, in microseconds.
 * An acknowledgement that was still on its way when a stream was deleted must never meet a new message under the same number.
 */
import {
  AckPolicy,
  DiscardPolicy,
  jetstreamManager,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream'
import {
  contracts,
  LANES,
  LEASE_BUCKET,
  streamNames,
  streams,
  subjectFilter,
  TRIED_BUCKET,
  type EventContract,
  type StreamContract,
} from '@postbus/contracts'
import type { Logger } from 'pino'

import type { Stoppable } from './bus.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { pause, sleep } from './pause.ts'
import { type BrokenState, setAside } from './set-aside.ts'

export interface ProvisionerOptions extends Omit<ConnectionOptions, 'party'> {
  shards: number
  /** 3 in a cluster. Default 1. */
  replicas?: number
  /** Instead of the contract's limit, by the stream's name in the contract. */
  maxBytes?: Partial<Record<string, number>>
  /** How long a message may be in hand without a sign of life. Handlers' messages are kept alive at a third of it. */
  ackWaitMs?: number
  /** The server's store, where it lies on a disk of ours: what the server cannot open there is set aside. */
  storeDir?: string | undefined
  signal: AbortSignal
  log: Logger
}

const MS = 1_000_000
const SECOND = 1_000 * MS

const CHECK_INTERVAL_MS = 5_000
/** A question sent just as the connection breaks waits that long for nothing. */
const API_TIMEOUT_MS = 2_000
const RETRY = { minMs: 100, maxMs: 5_000 }
/** Longer than a producer tries again, a message may be in hand and a leader election may take, together. */
const DUPLICATE_WINDOW = 600 * SECOND
const DEFAULT_ACK_WAIT_MS = 30_000
/** Of one consumer, over all processes that share it; each bounds its own share by maxInFlight. */
const MAX_ACK_PENDING = 5_000
const BUCKET_BYTES = 8 * 1024 * 1024
/** Notes about messages nobody asked for any more go by themselves; leases are renewed far more often. */
const BUCKET_MAX_AGE = 24 * 3600 * SECOND
const MICROSECONDS_PER_MS = 1_000

/** Resolves when everything exists; keeps it so until the signal aborts or it is stopped. */
export async function keepProvisioned(options: ProvisionerOptions): Promise<Stoppable> {
  const { log, signal } = options
  const stopping = new AbortController()
  const stopped = AbortSignal.any([signal, stopping.signal])
  const connection = await Connection.open({ ...options, party: 'provisioner' })
  const jsm = await jetstreamManager(connection.nats, { checkAPI: false, timeout: API_TIMEOUT_MS })

  let check = Promise.withResolvers<void>()
  const soon = (): void => check.resolve()
  for (const what of ['STREAM', 'CONSUMER']) {
    connection.nats.subscribe(`$JS.EVENT.ADVISORY.${what}.DELETED.>`, { callback: soon })
  }
  connection.onReconnect(soon)

  async function provisionUntilDone(): Promise<void> {
    for (let attempt = 0; !stopped.aborted; attempt++) {
      try {
        await provisionOnce(jsm, options)
        return
      } catch (err) {
        log.warn({ err }, 'cannot make what the contracts name on the bus, trying on')
        await pause(attempt, { ...RETRY, signal: stopped })
      }
    }
  }

  async function watch(): Promise<void> {
    while (!stopped.aborted) {
      await Promise.race([check.promise, sleep(CHECK_INTERVAL_MS, stopped)])
      check = Promise.withResolvers()
      if (!stopped.aborted) await provisionUntilDone()
    }
  }

  await provisionUntilDone()
  const watching = watch()
  async function stop(): Promise<void> {
    stopping.abort()
    await watching
    await connection.close()
  }
  signal.addEventListener('abort', () => void stop(), { once: true })
  return { stop }
}

async function provisionOnce(jsm: JetStreamManager, options: ProvisionerOptions): Promise<void> {
  for (const config of [...bucketConfigs(options), ...streamConfigs(options)]) await ensureStream(jsm, config, options)
  for (const { stream, config } of consumerConfigs(options)) await ensureConsumer(jsm, stream, config, options)
}

type Named<T> = Partial<T> & { name: string }

/** What of the options shows in what is made. */
type Shape = Pick<ProvisionerOptions, 'shards' | 'replicas' | 'maxBytes' | 'ackWaitMs'>

export function streamConfigs({ shards, replicas = 1, maxBytes = {} }: Shape): Named<StreamConfig>[] {
  return Object.values<StreamContract>(streams).flatMap((stream) =>
    streamNames(stream, shards).map((name, shard) => ({
      name,
      description: stream.purpose,
      subjects: stream.subjects.map((subject) => subjectFilter(subject, { shard: String(shard) })),
      retention: stream.retention === 'work' ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
      storage: StorageType.File,
      num_replicas: replicas,
      max_bytes: maxBytes[stream.name] ?? stream.maxBytes ?? -1,
      // With schedules the server refuses `new`; and such a stream has no limit that could discard anything.
      discard: stream.schedules ? DiscardPolicy.Old : DiscardPolicy.New,
      max_msgs_per_subject: stream.onePerSubject ? 1 : -1,
      discard_new_per_subject: stream.onePerSubject,
      duplicate_window: DUPLICATE_WINDOW,
      allow_direct: true,
      ...(stream.schedules && { allow_msg_schedules: true, allow_msg_ttl: true }),
    })),
  )
}

function bucketConfigs({ replicas = 1 }: ProvisionerOptions): Named<StreamConfig>[] {
  return [LEASE_BUCKET, TRIED_BUCKET].map((bucket) => ({
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.Memory,
    num_replicas: replicas,
    max_bytes: BUCKET_BYTES,
    max_age: BUCKET_MAX_AGE,
    max_msgs_per_subject: 1,
    discard: DiscardPolicy.New,
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
  }))
}

/** Error code of JetStream's API. */
const NAME_IN_USE = 10_058

interface NamedConsumer {
  stream: string
  config: Partial<ConsumerConfig> & { durable_name: string }
}

export function consumerConfigs(options: Shape): NamedConsumer[] {
  const { shards, ackWaitMs = DEFAULT_ACK_WAIT_MS } = options
  return contracts
    .filter((contract): contract is EventContract => contract.kind === 'event')
    .flatMap((contract) =>
      contract.consumers.flatMap(({ durable, filter }) =>
        streamNames(contract.stream, shards).flatMap((stream, shard) =>
          placesOf(durable, shard, shards).map((tokens) => ({
            stream,
            config: {
              durable_name: subjectFilter(durable, tokens),
              filter_subject: subjectFilter(filter, { shard: String(shard), ...tokens }),
              ack_policy: AckPolicy.Explicit,
              ack_wait: ackWaitMs * MS,
              max_ack_pending: MAX_ACK_PENDING,
              // Never given up by count: only a copy in MAIL_DEAD takes a message off its stream.
              max_deliver: -1,
            },
          })),
        ),
      ),
    )
}

/** A durable per lane, each in the shard its lane lives in. */
function placesOf(durable: string, shard: number, shards: number): Record<string, string>[] {
  if (!durable.includes('{lane}')) return [{}]
  return Array.from({ length: LANES }, (_, lane) => lane)
    .filter((lane) => lane % shards === shard)
    .map((lane) => ({ lane: String(lane).padStart(2, '0') }))
}

async function ensureStream(
  jsm: JetStreamManager,
  config: Named<StreamConfig>,
  { log, storeDir }: ProvisionerOptions,
): Promise<void> {
  const found = await unlessMissing(jsm.streams.info(config.name))
  if (!found) {
    const add = () => jsm.streams.add({ ...config, first_seq: Date.now() * MICROSECONDS_PER_MS })
    try {
      await orSetAside(add, { stream: config.name }, storeDir, log)
      log.info({ stream: config.name }, 'stream made')
    } catch (err) {
      // Another provisioner made it meanwhile, and its numbers begin elsewhere. Whether it is as it should be, the next check tells.
      if (!(err instanceof JetStreamApiError && err.code === NAME_IN_USE)) throw err
    }
    return
  }
  if (differs(config, found.config)) {
    await jsm.streams.update(config.name, config)
    log.info({ stream: config.name }, 'stream updated')
  }
}

async function ensureConsumer(
  jsm: JetStreamManager,
  stream: string,
  config: NamedConsumer['config'],
  { log, storeDir }: ProvisionerOptions,
): Promise<void> {
  const found = await unlessMissing(jsm.consumers.info(stream, config.durable_name))
  if (!found) {
    const add = () => jsm.consumers.add(stream, config)
    await orSetAside(add, { stream, consumer: config.durable_name }, storeDir, log)
    log.info({ stream, consumer: config.durable_name }, 'consumer made')
    return
  }
  if (differs(config, found.config)) {
    await jsm.consumers.update(stream, config.durable_name, config)
    log.info({ stream, consumer: config.durable_name }, 'consumer updated')
  }
}

/**
 * The server's own judgement: it has something of that name on its disk and cannot make a store of it. Its code is that of any
 * failed creation (10012); only the text tells.
 */
const STORE_FAILED = 'error creating store for '

async function orSetAside(
  add: () => Promise<unknown>,
  broken: BrokenState,
  storeDir: string | undefined,
  log: Logger,
): Promise<void> {
  try {
    await add()
  } catch (err) {
    if (storeDir === undefined || !(err instanceof JetStreamApiError) || !err.message.startsWith(STORE_FAILED))
      throw err
    const kept = await setAside(storeDir, broken)
    if (kept === null) throw err
    log.error({ err, ...broken, kept }, 'set aside what the bus could not open')
    await add()
  }
}

async function unlessMissing<T>(info: Promise<T>): Promise<T | undefined> {
  try {
    return await info
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined
    throw error
  }
}

const differs = (ours: object, theirs: object): boolean => differences(ours, theirs).length > 0

/** Settings of which the server's configuration says something else where ours says anything. */
export function differences(ours: object, theirs: object): string[] {
  const found = new Map(Object.entries(theirs))
  return Object.entries(ours)
    .filter(([key, value]) => JSON.stringify(found.get(key) ?? absent(value)) !== JSON.stringify(value))
    .map(([key]) => key)
}

/** The server leaves out what is false. */
const absent = (value: unknown): unknown => (value === false ? false : undefined)
