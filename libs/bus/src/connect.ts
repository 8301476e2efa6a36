/** Puts the parts together: one connection, everything a service may do on it, one close. */
import { streamNames, subjectFilter, type EventContract } from '@postbus/contracts'
import type { MetricsRegistry } from '@postbus/metrics'
import type { Tracer } from '@postbus/tracing'
import type { Logger } from 'pino'
import type { z } from 'zod'

import { BusUnavailable, type Bus, type Stoppable, type Tokens } from './bus.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { Consumption } from './consume.ts'
import { inspect } from './inspect.ts'
import { acquireLease } from './lease.ts'
import { lastOn, removeFrom } from './look-up.ts'
import { noMetrics, prometheusMetrics } from './metrics.ts'
import { pause } from './pause.ts'
import { Publisher } from './publish.ts'
import { answerer, request } from './request.ts'
import { answerRows } from './rows-answer.ts'
import { rows } from './rows-ask.ts'
import { readingState, streamState, subjectsOf } from './stream-info.ts'
import { answerSurvey, survey } from './survey.ts'
import { Tried } from './tried.ts'

export interface BusOptions extends ConnectionOptions {
  /** Publications, handlers, requests are counted and timed here. */
  metrics?: MetricsRegistry | undefined
  /** Records what passes as steps of traces. Default: nothing is recorded. */
  tracer?: Tracer | null | undefined
  /** How long what is in hand may take at a stop before it is given back. */
  drainDeadlineMs?: number | undefined
  /** Shards of the sharded streams. Default 1. */
  shards?: number | undefined
}

export interface ConnectedBus extends Bus {
  /** Resolves when the connection has ended for good, with the reason if it was not `close`. */
  readonly closed: Promise<Error | undefined>
}

const DEFAULT_DRAIN_DEADLINE_MS = 10_000
const API_TIMEOUT_MS = 5_000
const WAIT = { minMs: 50, maxMs: 1_000 }
/** Tries before the log says what is waited for: some seconds. */
const TOLD_AFTER = 10
const NANOS = 1_000_000

export async function connectBus(options: BusOptions): Promise<ConnectedBus> {
  const { log, tracer = null, drainDeadlineMs = DEFAULT_DRAIN_DEADLINE_MS, shards = 1 } = options
  const connection = await Connection.open(options)
  const metrics = options.metrics ? prometheusMetrics(options.metrics) : noMetrics
  const publisher = new Publisher(connection, log, metrics, tracer)
  const tried = new Tried(connection, log)
  const closing = new AbortController()
  const open = new Set<Stoppable>()
  const consumptions = new Set<Pick<Consumption<z.ZodType>, 'backlog'>>()
  connection.onReconnect(() => metrics.reconnected())
  metrics.watch({
    connected: () => connection.connected,
    backlogs: () => Promise.all([...consumptions].map((consumption) => consumption.backlog())),
  })

  function owned(stoppable: Stoppable): Stoppable {
    const own = {
      async stop() {
        open.delete(own)
        await stoppable.stop()
      },
    }
    open.add(own)
    return own
  }

  const closed = connection.nats.closed().then((reason) => reason ?? undefined)

  const bus: ConnectedBus = {
    closed,

    get connected() {
      return connection.connected
    },

    publish: (contract, event, publishOptions) => publisher.publish(contract, event, publishOptions),

    async consume(contract, consumer, consumeOptions, handler) {
      const { stream, durable } = placeOf(contract, consumer, consumeOptions.tokens)
      const ackWaitMs = await consumerReady(connection, log, stream, durable, closing.signal)
      const consumption = new Consumption({
        ...{ connection, publisher, tried, contract, stream, durable, ackWaitMs, drainDeadlineMs, handler, metrics },
        tracer,
        maxInFlight: consumeOptions.maxInFlight,
        log: log.child({ event: contract.name }),
      })
      consumptions.add(consumption)
      const ended = (): void => void consumptions.delete(consumption)
      const { stop } = owned(consumption)
      return { stop: () => stop().finally(ended), drain: () => consumption.drain().finally(ended) }
    },

    request: (contract, input, askOptions) => request(connection, metrics, contract, input, askOptions),

    rows: (contract, input, askOptions) => rows(connection, metrics, contract, input, askOptions),

    async answer(contract, handler, { tokens } = {}) {
      const stoppable = answerer({
        ...{ connection, contract, log, metrics, tracer, drainDeadlineMs, tokens },
        async respond(input, message, context) {
          message.respond(JSON.stringify(contract.output.parse(await handler(input, context))))
        },
      })
      await connection.flush()
      return owned(stoppable)
    },

    async answerRows(contract, handler) {
      const stoppable = answerRows({ connection, contract, log, metrics, tracer, drainDeadlineMs, handler })
      await connection.flush()
      return owned(stoppable)
    },

    survey: (contract, input, surveyOptions) => survey(connection, contract, input, surveyOptions),

    async answerSurvey(contract, answer) {
      const stoppable = answerSurvey(connection, contract, log, answer)
      await connection.flush()
      return owned(stoppable)
    },

    hint(contract, value) {
      const hint = contract.schema.parse(value)
      if (connection.connected && !connection.nats.isClosed()) {
        connection.nats.publish(contract.subject(hint), JSON.stringify(hint))
      }
    },

    listen(contract, handler, tokens) {
      const subscription = connection.nats.subscribe(subjectFilter(contract.pattern, tokens), {
        callback: (err, message) => {
          if (err) return log.error({ err, hint: contract.name }, 'may not listen')
          try {
            handler(contract.schema.parse(message.json()))
          } catch (error) {
            log.error({ err: error, hint: contract.name }, 'could not use a hint')
          }
        },
      })
      return owned({ stop: async () => subscription.unsubscribe() })
    },

    async provisioned(contracts, signal) {
      const names = new Set(contracts.flatMap(({ stream }) => streamNames(stream, shards)))
      const either = AbortSignal.any([signal, closing.signal])
      await Promise.all([...names].map((name) => api(connection, log, `STREAM.INFO.${name}`, either)))
    },

    acquireLease: (name, { signal, ...leaseOptions }) =>
      acquireLease({ connection, log, name, ...leaseOptions, signal: AbortSignal.any([signal, closing.signal]) }),

    holds: async (contract, subject, shard) =>
      (await lastOn(connection, streamOf(contract, shards, shard), subject)) !== null,

    async lookUp(contract, subject, shard) {
      const found = await lastOn(connection, streamOf(contract, shards, shard), subject)
      return found && { event: contract.schema.parse(found.json()), sequence: found.sequence }
    },

    remove: (contract, sequence) => removeFrom(connection, streamOf(contract, shards), sequence),

    streamState: (contract, shard) => streamState(connection, streamOf(contract, shards, shard)),

    readingState(contract, party) {
      const { stream, durable } = placeOf(contract, party)
      return readingState(connection, stream, durable)
    },

    subjects: (contract, shard) => subjectsOf(connection, streamOf(contract, shards, shard)),

    inspect: () => inspect(connection, shards),

    onReconnect: (callback) => connection.onReconnect(callback),

    async close() {
      closing.abort(new BusUnavailable('the bus was closed'))
      await Promise.all([...open].map((stoppable) => stoppable.stop()))
      await connection.close()
    },
  }
  void closed.then((err) => err && log.fatal({ err }, 'the connection to the bus ended'))
  return bus
}

interface ApiAnswer {
  config?: { ack_wait?: number }
  error?: { err_code?: number; description?: string }
}

/** Asks until there is an answer without an error: what is asked about exists. */
async function api(connection: Connection, log: Logger, verb: string, signal: AbortSignal): Promise<ApiAnswer> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    if (attempt === TOLD_AFTER) log.warn({ verb }, 'waiting for the provisioner to make this')
    if (await connection.whenConnected(API_TIMEOUT_MS, signal)) {
      const outcome = await connection.ask(`$JS.API.${verb}`, '', { timeoutMs: API_TIMEOUT_MS })
      if (outcome.kind === 'answer') {
        const answer = outcome.message.json<ApiAnswer>()
        if (!answer.error) return answer
      }
    }
    await pause(attempt, { ...WAIT, signal })
  }
}

/** @returns how long a message may be in hand without a sign of life */
async function consumerReady(
  connection: Connection,
  log: Logger,
  stream: string,
  durable: string,
  signal: AbortSignal,
): Promise<number> {
  const { config } = await api(connection, log, `CONSUMER.INFO.${stream}.${durable}`, signal)
  if (!config?.ack_wait) throw new BusUnavailable(`consumer ${durable} of ${stream} has no ack_wait`)
  return config.ack_wait / NANOS
}

function streamOf(contract: EventContract, shards: number, shard = 0): string {
  const name = streamNames(contract.stream, shards)[shard]
  if (name === undefined) throw new RangeError(`${contract.stream.name} has no shard ${shard}`)
  return name
}

function placeOf(contract: EventContract, party: string, tokens: Tokens = {}): { stream: string; durable: string } {
  const consumer = contract.consumers.find((candidate) => candidate.party === party)
  if (!consumer) throw new TypeError(`${contract.name} has no consumer ${party}`)
  const stream = contract.stream.sharded ? `${contract.stream.name}_${tokens['shard']}` : contract.stream.name
  return { stream, durable: subjectFilter(consumer.durable, tokens) }
}
