/**
 * One message by its subject or its sequence. The stream's leader is asked, never a replica: "not there" must mean it.
 */
import { z } from 'zod'

import { BusUnavailable } from './bus.ts'
import type { Connection } from './connection.ts'

const TIMEOUT_MS = 5_000
/** Error codes of JetStream's API. */
const NO_MESSAGE_FOUND = 10_037
const DELETE_FAILED = 10_057

const Failure = z.object({ err_code: z.int().default(0), description: z.string().default('no description') })
const GetAnswer = z.object({
  error: Failure.optional(),
  message: z.object({ seq: z.int(), data: z.string().default('') }).optional(),
})
const DeleteAnswer = z.object({ error: Failure.optional(), success: z.boolean().default(false) })

export interface LastMessage {
  sequence: number
  json(): unknown
}

export async function lastOn(connection: Connection, stream: string, subject: string): Promise<LastMessage | null> {
  const { message, error } = GetAnswer.parse(await ask(connection, 'GET', stream, { last_by_subj: subject }))
  if (message) {
    return { sequence: message.seq, json: () => JSON.parse(Buffer.from(message.data, 'base64').toString()) }
  }
  if (error?.err_code === NO_MESSAGE_FOUND) return null
  throw new BusUnavailable(`cannot look into ${stream}: ${error?.description}`)
}

/** @returns whether it was still there */
export async function removeFrom(connection: Connection, stream: string, sequence: number): Promise<boolean> {
  // Overwriting what goes would only matter for secrets; bodies are not here.
  const answer = await ask(connection, 'DELETE', stream, { seq: sequence, no_erase: true })
  const { success, error } = DeleteAnswer.parse(answer)
  if (success) return true
  if (error?.err_code === DELETE_FAILED && /no message|deleted/.test(error.description)) return false
  throw new BusUnavailable(`cannot remove ${sequence} from ${stream}: ${error?.description}`)
}

async function ask(connection: Connection, verb: 'GET' | 'DELETE', stream: string, input: object): Promise<unknown> {
  const subject = `$JS.API.STREAM.MSG.${verb}.${stream}`
  const outcome = await connection.ask(subject, JSON.stringify(input), { timeoutMs: TIMEOUT_MS })
  if (outcome.kind === 'answer') return outcome.message.json()
  throw new BusUnavailable(`cannot look into ${stream}: ${outcome.kind}`)
}
