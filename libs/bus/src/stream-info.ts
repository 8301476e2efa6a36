/** What the server says of a stream as a whole. Asked of its leader. */
import { BusUnavailable, type ReadingState, type StreamState } from './bus.ts'
import type { Connection } from './connection.ts'

const TIMEOUT_MS = 20_000

interface StreamInfo {
  created?: string
  state?: { last_seq?: number; subjects?: Record<string, number> }
  /** Of the subjects, over all pages. */
  total?: number
  error?: { description?: string }
}

interface ConsumerInfo {
  num_pending?: number
  num_ack_pending?: number
  ack_floor?: { stream_seq?: number }
}

export async function streamState(connection: Connection, stream: string): Promise<StreamState> {
  const { created, state } = await info(connection, stream, '')
  if (created === undefined || state?.last_seq === undefined) {
    throw new BusUnavailable(`${stream} does not say when it was made and how far it has come`)
  }
  return { createdAt: created, lastSequence: state.last_seq }
}

/**
 * Asked of the stream first and of the consumer afterwards, so what the consumer has done with is at least what is said of it.
 * Nothing waiting and nothing in hand is all there is: what stands in the stream nevertheless is never given to this consumer (a
 * stream that went back to an older state may hold such messages).
 */
export async function readingState(connection: Connection, stream: string, durable: string): Promise<ReadingState> {
  const state = await streamState(connection, stream)
  const outcome = await connection.ask(`$JS.API.CONSUMER.INFO.${stream}.${durable}`, '', { timeoutMs: TIMEOUT_MS })
  const info = outcome.kind === 'answer' ? outcome.message.json<ConsumerInfo>() : {}
  const { num_pending: waiting, num_ack_pending: inHand, ack_floor: floor } = info
  if (waiting === undefined || inHand === undefined || floor?.stream_seq === undefined) {
    throw new BusUnavailable(`${durable} of ${stream} does not say how far it has come`)
  }
  return { ...state, readTo: waiting + inHand === 0 ? state.lastSequence : floor.stream_seq }
}

/** Pages are as large as the server makes them (100,000); a subject that comes or goes meanwhile may be missing or named twice. */
export async function* subjectsOf(connection: Connection, stream: string): AsyncIterable<string[]> {
  for (let offset = 0; ;) {
    const { state, total = 0 } = await info(connection, stream, JSON.stringify({ subjects_filter: '>', offset }))
    const subjects = Object.keys(state?.subjects ?? {})
    if (subjects.length > 0) yield subjects
    offset += subjects.length
    if (subjects.length === 0 || offset >= total) return
  }
}

async function info(connection: Connection, stream: string, question: string): Promise<StreamInfo> {
  const outcome = await connection.ask(`$JS.API.STREAM.INFO.${stream}`, question, { timeoutMs: TIMEOUT_MS })
  if (outcome.kind !== 'answer') throw new BusUnavailable(`${stream} cannot be asked: ${outcome.kind}`)
  const answer = outcome.message.json<StreamInfo>()
  if (answer.error) throw new BusUnavailable(`${stream} cannot be asked: ${answer.error.description}`)
  return answer
}
