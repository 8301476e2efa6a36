/**
 * What the server has of what the contracts name, for operators: streams and consumers, whether they are as the provisioner makes
 * them, what is in them and whether anybody reads. Looks only.
 */
import type { ConsumerConfig, StreamConfig } from '@nats-io/jetstream'
import { z } from 'zod'

import { type BusReport, BusUnavailable, type ConsumerReport, type StreamReport } from './bus.ts'
import type { Connection } from './connection.ts'
import { consumerConfigs, differences, streamConfigs } from './provision.ts'

const TIMEOUT_MS = 5_000

/** What a deployment chooses, and nobody but its provisioner knows. */
const CHOSEN: ReadonlySet<string> = new Set(['num_replicas', 'ack_wait'])

const Failure = z.object({ code: z.int().optional(), description: z.string().default('no description') })
const Account = z.object({
  error: Failure.optional(),
  storage: z.number().default(0),
  limits: z.object({ max_storage: z.number().default(-1) }).optional(),
})
const Stream = z.object({
  error: Failure.optional(),
  config: z.record(z.string(), z.unknown()).default({}),
  created: z.string().optional(),
  ts: z.string().optional(),
  state: z
    .object({ messages: z.number().default(0), bytes: z.number().default(0), first_ts: z.string().optional() })
    .optional(),
})
const Consumer = z.object({
  error: Failure.optional(),
  config: z.record(z.string(), z.unknown()).default({}),
  num_pending: z.number().default(0),
  num_ack_pending: z.number().default(0),
  num_redelivered: z.number().default(0),
  num_waiting: z.number().default(0),
  delivered: z.object({ last_active: z.string().optional() }).optional(),
  ack_floor: z.object({ last_active: z.string().optional() }).optional(),
})

/** @throws BusUnavailable */
export async function inspect(connection: Connection, shards: number): Promise<BusReport> {
  const began = performance.now()
  const account = await ask(connection, 'INFO', Account)
  const roundTripMs = performance.now() - began
  if (account.error) throw new BusUnavailable(`the bus does not say how full it is: ${account.error.description}`)
  const consumers = consumerConfigs({ shards })
  let time: string | null = null
  const streams = await Promise.all(
    streamConfigs({ shards }).map(async (ours): Promise<StreamReport> => {
      const theirs = await ask(connection, `STREAM.INFO.${ours.name}`, Stream)
      time = theirs.ts ?? time
      const { messages = 0, bytes = 0, first_ts: first } = theirs.state ?? {}
      return {
        name: ours.name,
        ...standing(ours, theirs),
        ...{ messages, bytes },
        maxBytes: limitOf(theirs.config['max_bytes']),
        firstAt: messages > 0 && first !== undefined ? first : null,
        consumers: await Promise.all(
          consumers
            .filter(({ stream }) => stream === ours.name)
            .map(({ config }) => consumerReport(connection, ours.name, config)),
        ),
      }
    }),
  )
  const { server_name: name = '', version = '' } = connection.nats.info ?? {}
  return {
    server: { name, version },
    roundTripMs,
    time,
    storage: { bytes: account.storage, maxBytes: limitOf(account.limits?.max_storage) },
    streams,
  }
}

async function consumerReport(
  connection: Connection,
  stream: string,
  ours: Partial<ConsumerConfig> & { durable_name: string },
): Promise<ConsumerReport> {
  const theirs = await ask(connection, `CONSUMER.INFO.${stream}.${ours.durable_name}`, Consumer)
  return {
    name: ours.durable_name,
    ...standing(ours, theirs),
    pending: theirs.num_pending,
    inHand: theirs.num_ack_pending,
    redelivered: theirs.num_redelivered,
    pulls: theirs.num_waiting,
    lastDeliveredAt: theirs.delivered?.last_active ?? null,
    lastAckAt: theirs.ack_floor?.last_active ?? null,
  }
}

function standing(
  ours: Partial<StreamConfig> | Partial<ConsumerConfig>,
  { error, config }: { error?: z.infer<typeof Failure> | undefined; config: Record<string, unknown> },
): { missing: boolean; differs: string[] } {
  if (error) return { missing: true, differs: [] }
  return { missing: false, differs: differences(ours, config).filter((key) => !CHOSEN.has(key)) }
}

/** The server writes -1, or leaves it out, where there is none. */
const limitOf = (value: unknown): number | null => (typeof value === 'number' && value > 0 ? value : null)

async function ask<T extends z.ZodType<{ error?: z.infer<typeof Failure> | undefined }>>(
  connection: Connection,
  verb: string,
  schema: T,
): Promise<z.output<T>> {
  const outcome = await connection.ask(`$JS.API.${verb}`, '', { timeoutMs: TIMEOUT_MS })
  if (outcome.kind !== 'answer') throw new BusUnavailable(`the bus does not answer ${verb}: ${outcome.kind}`)
  const answer = schema.parse(outcome.message.json())
  // 404: it is not there. Anything else is not an answer to the question.
  if (answer.error && answer.error.code !== 404) throw new BusUnavailable(`${verb}: ${answer.error.description}`)
  return answer
}
