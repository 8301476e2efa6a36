/**
 * A request answered with any number of rows: frames of at most 256 KiB, paid for with credit.
 *
 * The asker may be owed so many bytes and grants more as it consumes; an answerer without credit stops producing. So a reader
 * that stops reading holds its own rows back and nobody else's, on a connection that thousands share. Frames are numbered: one
 * that is lost (a broken connection) ends the rows with an error, never with a gap.
 *
 *   asker → subject of the contract    the input; reply: where frames go
 *   answerer → there                   frame: type, number, part of the records; reply: where credit goes
 *   asker → there                      grant: bytes granted so far in all; 0 means stop
 *
 * Both answer the other's reply subject, so neither needs a permission beyond answering. A grant repeated every few seconds says
 * that the asker is alive; an answerer that hears nothing while it waits for credit gives up.
 */
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node'
import type { RowsContract } from '@postbus/contracts'
import type { Logger } from 'pino'
import type { z } from 'zod'

import { BusUnavailable, RequestRefused, type AnswerContext, type Row, type Stoppable } from './bus.ts'
import { noResponders, type Connection } from './connection.ts'
import type { BusMetrics } from './metrics.ts'
import { encodeRecord, RecordReader } from './records.ts'
import {
  answerer,
  fault,
  requestHeaders,
  throwUnlessAnswer,
  unlessAborted,
  type AskOptions,
  type Idle,
} from './request.ts'

const FRAME_BYTES = 256 * 1024
/** Owed to one asker at most: two frames, so that one is on its way while the other is read. */
const WINDOW_BYTES = 2 * FRAME_BYTES
/** Every frame costs this much beside its bytes, so that many tiny ones are bounded too. */
const FRAME_COST = 512
/** The asker says that it lives. */
const ALIVE_MS = 10_000
/** An answerer out of credit that hears nothing for so long has lost its asker. */
const GONE_MS = 35_000

const HEADER_BYTES = 5
const frameTypes = { data: 0, end: 1 } as const

function frame(type: keyof typeof frameTypes, number: number, content: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt8(frameTypes[type])
  header.writeUInt32BE(number, 1)
  return Buffer.concat([header, ...content])
}

const costOf = (bytes: number): number => bytes + FRAME_COST

// ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────

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
  let outcome = 'unavailable'
  const frames = new Frames(connection, contract)
  try {
    connection.nats.publish(contract.subject, payload, { reply: frames.inbox, headers: requestHeaders(timeoutMs) })
    const reader = new RecordReader()
    for (;;) {
      const next = await unlessAborted(frames.next(timeoutMs), signal)
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
  readonly inbox: string
  readonly #contract: RowsContract
  readonly #nats: NatsConnection
  readonly #subscription: Subscription
  readonly #alive: NodeJS.Timeout
  readonly #reconnect: Stoppable
  readonly #arrived: Uint8Array[] = []
  #wake = (): void => undefined
  #error: Error | undefined
  #ended = false
  #closed = false
  #expected = 0
  #creditTo: string | undefined
  #granted = WINDOW_BYTES
  #ungranted = 0

  constructor(connection: Connection, contract: RowsContract) {
    this.#contract = contract
    this.#nats = connection.nats
    this.inbox = connection.newInbox()
    this.#subscription = connection.nats.subscribe(this.inbox, {
      callback: (error, message) =>
        error ? this.#fail(new BusUnavailable(contract.name, { cause: error })) : this.#received(message),
    })
    this.#alive = setInterval(() => this.#grant(), ALIVE_MS)
    this.#reconnect = connection.onReconnect(() =>
      this.#fail(new BusUnavailable(`${contract.name}: the connection broke`)),
    )
  }

  /** The next piece of records; undefined at the end. */
  async next(timeoutMs: number): Promise<Uint8Array | undefined> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
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
    void this.#reconnect.stop()
    if (this.#ended || this.#error || this.#nats.isClosed()) return this.#subscription.unsubscribe()
    if (this.#creditTo) {
      this.#say(0)
      this.#subscription.unsubscribe()
      return
    }
    // Not a frame yet, so nobody to tell: the first that comes is answered with a stop. The answerer gives up by itself, too.
    setTimeout(() => this.#subscription.unsubscribe(), GONE_MS).unref()
  }

  #received(message: Msg): void {
    this.#creditTo = message.reply ?? this.#creditTo
    if (this.#closed) {
      this.#say(0)
      this.#subscription.unsubscribe()
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
    const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    if (view.length < HEADER_BYTES || view.readUInt32BE(1) !== this.#expected++) {
      throw new BusUnavailable(`${this.#contract.name}: a frame was lost`)
    }
    if (view.readUInt8() === frameTypes.end) this.#ended = true
    if (view.length > HEADER_BYTES) this.#arrived.push(view.subarray(HEADER_BYTES))
  }

  #fail(error: Error): void {
    this.#error ??= error
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

// ── answering ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface RowsAnswererOptions<I extends z.ZodType, R extends z.ZodType> {
  connection: Connection
  contract: RowsContract<I, R>
  log: Logger
  metrics: BusMetrics
  drainDeadlineMs: number
  handler: (input: z.output<I>, context: AnswerContext) => AsyncIterable<Row<z.input<R>>>
}

export function answerRows<I extends z.ZodType, R extends z.ZodType>(options: RowsAnswererOptions<I, R>): Stoppable {
  const { connection, contract, handler } = options
  const credits = new Credits(connection)
  const answering = answerer({
    ...options,
    async respond(input, message, context, idle) {
      const outlet = new Outlet(message, credits, idle)
      try {
        const signal = AbortSignal.any([context.signal, outlet.gone])
        for await (const { row, bytes } of handler(input, { ...context, signal })) {
          await outlet.write(encodeRecord(contract.row.parse(row), bytes))
        }
        await outlet.end()
      } catch (error) {
        // Whoever went away wants no answer, and its going is no fault of ours.
        if (!outlet.gone.aborted) throw error
      } finally {
        outlet.close()
      }
    },
  })
  return {
    async stop() {
      await answering.stop()
      credits.close()
    },
  }
}

/** One subscription on which all askers of a contract send their credit. */
class Credits {
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #outlets = new Map<string, (granted: number) => void>()
  #counter = 0

  constructor(connection: Connection) {
    this.#inbox = connection.newInbox()
    this.#subscription = connection.nats.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.#outlets.get(message.subject)?.(Number(message.string()))
      },
    })
  }

  open(onGrant: (granted: number) => void): string {
    const subject = `${this.#inbox}.${(++this.#counter).toString(36)}`
    this.#outlets.set(subject, onGrant)
    return subject
  }

  forget(subject: string): void {
    this.#outlets.delete(subject)
  }

  close(): void {
    this.#subscription.unsubscribe()
  }
}

class AskerGone extends Error {
  override readonly name = 'AskerGone'
}

/** The answerer's end: collects records, cuts frames, waits for credit. */
class Outlet {
  readonly #message: Msg
  readonly #credits: Credits
  readonly #creditSubject: string
  readonly #idle: Idle
  readonly #gone = new AbortController()
  #pieces: Uint8Array[] = []
  #held = 0
  #number = 0
  #granted = WINDOW_BYTES
  #spent = 0
  #soon: NodeJS.Immediate | undefined
  #wake = (): void => undefined

  constructor(message: Msg, credits: Credits, idle: Idle) {
    this.#message = message
    this.#idle = idle
    this.#credits = credits
    this.#creditSubject = credits.open((granted) => {
      if (granted === 0) this.#gone.abort(new AskerGone('the asker stopped'))
      else this.#granted = Math.max(this.#granted, granted)
      this.#wake()
    })
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      this.#pieces.push(piece)
      this.#held += piece.length
    }
    while (this.#held >= FRAME_BYTES) await this.#send(FRAME_BYTES)
    this.gone.throwIfAborted()
    // A producer that pauses lets its reader have what there is.
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined
      if (this.#held > 0 && !this.gone.aborted && this.#hasCredit(this.#held)) this.#sendNow('data', this.#held)
    })
  }

  async end(): Promise<void> {
    while (this.#held > FRAME_BYTES) await this.#send(FRAME_BYTES)
    await this.#credit(this.#held)
    this.#sendNow('end', this.#held)
  }

  close(): void {
    clearImmediate(this.#soon)
    this.#credits.forget(this.#creditSubject)
  }

  async #send(bytes: number): Promise<void> {
    await this.#credit(bytes)
    // What was held may have left meanwhile.
    if (this.#held >= bytes) this.#sendNow('data', bytes)
  }

  #hasCredit(bytes: number): boolean {
    return this.#spent + costOf(bytes) <= this.#granted
  }

  async #credit(bytes: number): Promise<void> {
    if (!this.#hasCredit(Math.min(bytes, this.#held))) await this.#idle(() => this.#granting(bytes))
    this.gone.throwIfAborted()
  }

  async #granting(bytes: number): Promise<void> {
    while (!this.gone.aborted && !this.#hasCredit(Math.min(bytes, this.#held))) {
      const { promise, resolve } = Promise.withResolvers<void>()
      let heard = false
      this.#wake = () => {
        heard = true
        resolve()
      }
      const timer = setTimeout(resolve, GONE_MS)
      await promise
      clearTimeout(timer)
      if (!heard) this.#gone.abort(new AskerGone(`the asker was silent for ${GONE_MS} ms`))
    }
  }

  #sendNow(type: keyof typeof frameTypes, bytes: number): void {
    this.#message.respond(frame(type, this.#number++, this.#cut(bytes)), { reply: this.#creditSubject })
    this.#spent += costOf(bytes)
  }

  #cut(bytes: number): Uint8Array[] {
    const cut: Uint8Array[] = []
    let missing = bytes
    while (missing > 0) {
      const piece = this.#pieces.shift()
      if (!piece) break
      cut.push(piece.subarray(0, missing))
      if (piece.length > missing) this.#pieces.unshift(piece.subarray(missing))
      missing -= Math.min(missing, piece.length)
    }
    this.#held -= bytes
    return cut
  }
}
