/**
 * An SMTP server for tests and scenarios that keeps what it takes, and misbehaves by the local part of an address
 * (behaviours.ts) or throughout (options.ts). Anything else is accepted.
 *
 * It is exact where a client could go wrong: replies in order, one per command; only CRLF.CRLF ends the data; what was pipelined
 * before STARTTLS is forgotten. `bin/smtp-sink.ts` runs it as a process of its own.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

import { freePort } from '../free-port.ts'
import type { SinkMessage, SinkOptions, SinkSessionFacts, SmtpSink } from './options.ts'
import { type SinkBooks, SinkSession } from './session.ts'

/** Closed with the test; until then nobody else gets its port, also while it is closed to be opened again. */
export async function startSmtpSink(t: TestContext, options: SinkOptions = {}): Promise<SmtpSink> {
  const port = options.port ?? (await freePort(options.host))
  const sink = await openSmtpSink({ ...options, port })
  t.after(() => sink.close())
  return sink
}

export async function openSmtpSink(options: SinkOptions = {}): Promise<SmtpSink> {
  const messages: SinkMessage[] = []
  const commands: string[] = []
  const counts: Record<string, number> = {}
  const bySession: SinkSessionFacts[] = []
  const seen = new Set<string>()
  const sockets = new Set<Socket>()
  const waiting = new Set<{ count: number; resolve(): void }>()
  let mostOpen = 0
  const books: SinkBooks = {
    command(line, verb) {
      counts[verb] = (counts[verb] ?? 0) + 1
      if (options.keep !== 'digests') commands.push(line)
    },
    message(message) {
      messages.push(message)
      options.onMessage?.(message)
      for (const waiter of waiting) {
        if (messages.length < waiter.count) continue
        waiting.delete(waiter)
        waiter.resolve()
      }
      return messages.length
    },
    first(what) {
      if (seen.has(what)) return false
      seen.add(what)
      return true
    },
  }

  const host = options.host ?? '127.0.0.1'
  let port = options.port ?? 0
  let server: Server | undefined

  async function open(): Promise<void> {
    const listening = createServer((socket) => {
      sockets.add(socket)
      mostOpen = Math.max(mostOpen, sockets.size)
      // Replies are small and many; waiting for acknowledgements between them would measure the kernel's timers.
      socket.setNoDelay(true)
      socket.on('close', () => sockets.delete(socket))
      const facts = {
        ...{ session: bySession.length + 1, commands: 0, messages: 0, secure: false },
        ...{ user: null, clientAddress: socket.remoteAddress ?? '', helo: '' },
      }
      bySession.push(facts)
      void new SinkSession(socket, options, books, facts).begin()
    })
    listening.listen(port, host)
    await once(listening, 'listening')
    const address = listening.address()
    if (address !== null && typeof address === 'object') port = address.port
    server = listening
  }

  async function close(): Promise<void> {
    const closing = server
    server = undefined
    if (!closing) return
    const closed = once(closing, 'close')
    closing.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }

  await open()
  return {
    ...{ host, messages, commands, counts, bySession },
    get port() {
      return port
    },
    get sessions() {
      return bySession.length
    },
    get open() {
      return sockets.size
    },
    get mostOpen() {
      return mostOpen
    },
    received(count) {
      if (messages.length >= count) return Promise.resolve(messages)
      return new Promise((resolve) => waiting.add({ count, resolve: () => resolve(messages) }))
    },
    close,
    reopen: open,
  }
}
