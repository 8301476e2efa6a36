/** The asker's side of rows: frames in order, put together to rows again, and credit for what was consumed. */
import type { Msg, NatsConnection } from '@nats-io/transport-node'
import type { RowsContract } from '@postbus/contracts'
import type { z } from 'zod'

import { BusUnavailable, RequestRefused, type Row, type Stoppable } from './bus.ts'
import { noResponders, type Connection } from './connection.ts'
import type { BusMetrics, RequestOutcome } from './metrics.ts'
import { RecordReader } from './records.ts'
import { requestHeaders, throwUnlessAnswer, type AskOptions } from './request.ts'
import { ALIVE_MS, costOf, decodeFrame, GONE_MS, STOP, WINDOW_BYTES } from './rows-frame.ts'

export async function* rows<I extends z.ZodType, R extends z.ZodType>(
  connection: Connection,
  metrics: BusMetrics,
  contract: RowsContract<I, R>,
  input: z.input<I>,
  { timeoutMs = contract.timeoutMs, signal }: AskOptions = {},
): AsyncGenerator<Required<Row<z.output<R>>>, void, undefined> {
  const payload = JSON.stringify(contract.input.parse(input))
  signal?.throwIfAborted()
  if (!(await connection.whenConnected(timeoutMs, signal)))
    throw new BusUnavailable(`${contract.name}: no connection to the bus`)
  const started = performance.now()
  let outcome: RequestOutcome = 'unavailable'
  const frames = new Frames(connection, contract, signal)
  try {
    connection.nats.publish(contract.subject, payload, { reply: frames.inbox, headers: requestHeaders(timeoutMs) })
    const reader = new RecordReader()
    for (;;) {
      const next = await frames.next(timeoutMs)
      if (next === undefined) break
      for (const { row, bytes } of readRecords(contract, reader, next)) {
        const parsed = contract.row.safeParse(row)
        if (!parsed.success)
          throw new BusUnavailable(`a row of ${contract.name} does not match its contract`, { cause: parsed.error })
        yield { row: parsed.data, bytes }
      }
      frames.consumed(next.length)
    }
    if (!reader.atBoundary) throw new BusUnavailable(`${contract.name}: the last row is incomplete`)
    outcome = 'answered'
  } catch (error) {
    if (error instanceof RequestRefused) outcome = 'refused'
    throw error
  } finally {
    // Also when the caller leaves its loop early: the answerer must stop.
    frames.close()
    metrics.requested(contract.name, outcome, (performance.now() - started) / 1000)
  }
}

function* readRecords(
  contract: RowsContract,
  reader: RecordReader,
  piece: Uint8Array,
): Iterable<{ row: unknown; bytes: Uint8Array[] }> {
  try {
    yield* reader.push(piece)
  } catch (cause) {
    throw new BusUnavailable(`${contract.name}: what came are not rows`, { cause })
  }
}

/** The asker's end: frames in order, and credit for them. */
class Frames {
  readonly #contract: RowsContract
  readonly #nats: NatsConnection
  readonly #hearing: { inbox: string; end(): void }
  readonly #alive: NodeJS.Timeout
  readonly #endings: Stoppable[]
  readonly #signal: AbortSignal | undefined
  readonly #aborted = (): void => this.#wake()
  readonly #arrived: Uint8Array[] = []
  #wake = (): void => undefined
  #error: Error | undefined
  #ended = false
  #closed = false
  #expected = 0
  #creditTo: string | undefined
  #granted = WINDOW_BYTES
  #ungranted = 0

  constructor(connection: Connection, contract: RowsContract, signal: AbortSignal | undefined) {
    this.#contract = contract
    this.#signal = signal
    signal?.addEventListener('abort', this.#aborted)
    this.#nats = connection.nats
    this.#hearing = connection.hear((message) => this.#received(message))
    this.#alive = setInterval(() => this.#grant(), ALIVE_MS)
    const broke = (): void => this.#fail(new BusUnavailable(`${contract.name}: the connection broke`))
    this.#endings = [connection.onReconnect(broke), connection.onClose(broke)]
  }

  get inbox(): string {
    return this.#hearing.inbox
  }

  /** The next piece of records; undefined at the end. Throws the signal's reason when it aborts. */
  async next(timeoutMs: number): Promise<Uint8Array | undefined> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      this.#signal?.throwIfAborted()
      const piece = this.#arrived.shift()
      if (piece) return piece
      if (this.#error) throw this.#error
      if (this.#ended) return undefined
      const left = deadline - performance.now()
      if (left <= 0) throw new BusUnavailable(`${this.#contract.name}: nothing came for ${timeoutMs} ms`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer = setTimeout(resolve, left)
      await promise
      clearTimeout(timer)
    }
  }

  consumed(bytes: number): void {
    this.#ungranted += costOf(bytes)
    if (this.#ungranted < WINDOW_BYTES / 4) return
    this.#granted += this.#ungranted
    this.#ungranted = 0
    this.#grant()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#alive)
    this.#signal?.removeEventListener('abort', this.#aborted)
    for (const ending of this.#endings) void ending.stop()
    if (this.#ended || this.#error || this.#nats.isClosed()) return this.#hearing.end()
    if (this.#creditTo) {
      this.#say(STOP)
      this.#hearing.end()
      return
    }
    // Not a frame yet, so nobody to tell: the first that comes is answered with a stop. The answerer gives up by itself, too.
    setTimeout(() => this.#hearing.end(), GONE_MS).unref()
  }

  #received(message: Msg): void {
    this.#creditTo = message.reply ?? this.#creditTo
    if (this.#closed) {
      this.#say(STOP)
      this.#hearing.end()
      return
    }
    try {
      if (noResponders(message)) throw new BusUnavailable(`${this.#contract.name}: nobody answers`)
      throwUnlessAnswer(this.#contract, message)
      this.#accept(message.data)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new BusUnavailable(String(error)))
    }
    this.#wake()
  }

  #accept(data: Uint8Array): void {
    const frame = decodeFrame(data)
    if (frame?.number !== this.#expected++) throw new BusUnavailable(`${this.#contract.name}: a frame was lost`)
    if (frame.type === 'end') this.#ended = true
    if (frame.content.length > 0) this.#arrived.push(frame.content)
  }

  #fail(error: Error): void {
    this.#error ??= error
    // Also for an iterator that is never read again: nothing of it may keep the process.
    clearInterval(this.#alive)
    this.#wake()
  }

  #grant(): void {
    if (this.#creditTo && !this.#ended) this.#say(this.#granted)
  }

  #say(bytes: number): void {
    if (this.#creditTo && !this.#nats.isClosed())
      this.#nats.publish(this.#creditTo, String(bytes), { reply: this.inbox })
  }
}
