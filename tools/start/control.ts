/**
 * How a running start is told something: one line of JSON each way, over a socket in its data directory that only its owner may open.
 */
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { relative } from 'node:path'
import { createInterface } from 'node:readline'

import { z } from 'zod'

import { services } from './options.ts'

const LONGEST_LINE = 64 * 1024
/** A service drains before it goes, a new one has to become ready. */
const ANSWER_MS = 180_000

export const Order = z.object({ scale: z.partialRecord(z.enum(services), z.int().nonnegative()) })
export type Order = z.infer<typeof Order>

const Answer = z.union([z.object({ done: z.string() }), z.object({ refused: z.string() })])
export type Answer = z.infer<typeof Answer>

/** One order at a time. @returns what ends it */
export async function listenForOrders(
  path: string,
  obey: (order: Order) => Promise<Answer>,
): Promise<() => Promise<void>> {
  await rm(path, { force: true })
  let last: Promise<unknown> = Promise.resolve()
  const server = createServer((socket) => {
    socket.on('error', () => {}) // Who asked went away.
    socket.setEncoding('utf8')
    let heard = ''
    socket.on('data', (text: string) => {
      heard += text
      if (heard.length > LONGEST_LINE) return socket.destroy()
      if (!heard.includes('\n')) return
      socket.removeAllListeners('data')
      const answer = last.then(() => answerTo(heard, obey))
      last = answer
      void answer.then((said) => socket.end(`${JSON.stringify(said)}\n`))
    })
  })
  server.listen(shortest(path))
  await once(server, 'listening')
  await chmod(path, 0o600)
  return async () => {
    server.close()
    await rm(path, { force: true })
  }
}

async function answerTo(line: string, obey: (order: Order) => Promise<Answer>): Promise<Answer> {
  try {
    return await obey(Order.parse(JSON.parse(line)))
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) }
  }
}

/** @throws Error when nobody listens there, or the answer makes no sense */
export async function give(path: string, order: Order): Promise<Answer> {
  const socket = connect(shortest(path))
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new Error('no platform that was started with --processes runs on this data directory', { cause })
  }
  socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('no answer in time')))
  socket.write(`${JSON.stringify(order)}\n`)
  return Answer.parse(JSON.parse(await firstLine(socket)))
}

async function firstLine(socket: Socket): Promise<string> {
  for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) return line
  throw new Error('the connection ended without an answer')
}

/** A socket's name may have 107 octets (unix(7)); from here it may be shorter than from the root. */
function shortest(path: string): string {
  const nearer = relative(process.cwd(), path)
  return nearer.length < path.length ? nearer : path
}
