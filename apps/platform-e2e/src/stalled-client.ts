/** A client that speaks so far and then says nothing more, or says an octet at a time, and waits for what the server does about it. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface StalledClient {
  /** Resolves when it has said everything and got so many replies. */
  readonly stalled: Promise<void>
  /** The last line the server said before it ended the connection; null until then. */
  readonly end: string | null
  close(): void
}

export interface StalledOptions {
  host: string
  port: number
  /** TLS from the first octet. */
  ca?: string
  /** Another address of this machine's loopback network. */
  from?: string
  /** Lines, each said after the reply to the one before; the first one waits for the greeting. */
  lines: readonly string[]
  /** Said after the last reply, without an end. */
  rest?: string
  /** An octet of an endless command, so often (ms). */
  trickleMs?: number
}

export function stalledClient(options: StalledOptions): StalledClient {
  const { host, port, ca, from, lines, rest, trickleMs } = options
  const plain = { host, port, ...(from !== undefined && { localAddress: from }) }
  const socket: Socket = ca === undefined ? connect(plain) : connectTls({ ...plain, ca, servername: 'localhost' })
  socket.setEncoding('utf8').setNoDelay(true)
  const stalled = Promise.withResolvers<void>()
  const left = [...lines]
  let partial = ''
  let last = ''
  let trickle: NodeJS.Timeout | undefined
  function replied(): void {
    const next = left.shift()
    if (next !== undefined) return void socket.write(`${next}\r\n`)
    if (rest !== undefined) socket.write(rest)
    if (trickleMs !== undefined) trickle ??= setInterval(() => socket.write('x'), trickleMs)
    stalled.resolve()
  }
  socket.on('data', (text: string) => {
    const received = `${partial}${text}`.split('\r\n')
    partial = received.pop() ?? ''
    for (const line of received) {
      last = line
      if (line[3] !== '-') replied()
    }
  })
  socket.on('error', () => {}) // Its end tells enough.
  let end: string | null = null
  socket.once('close', () => {
    clearInterval(trickle)
    end = last
    stalled.resolve()
  })
  return {
    stalled: stalled.promise,
    get end() {
      return end
    },
    close: () => void socket.destroy(),
  }
}
