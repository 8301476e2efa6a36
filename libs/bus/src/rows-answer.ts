/** The answerer's side of rows: records cut into frames, sent as far as there is credit. */
import type { Msg, Subscription } from '@nats-io/transport-node'
import type { RowsContract } from '@postbus/contracts'
import type { Logger } from 'pino'
import type { z } from 'zod'

import type { AnswerContext, Row, Stoppable } from './bus.ts'
import { noResponders, type Connection } from './connection.ts'
import type { BusMetrics } from './metrics.ts'
import { encodeRecord } from './records.ts'
import { answerer, type Idle } from './request.ts'
import { costOf, encodeFrame, FRAME_BYTES, GONE_MS, STOP, WINDOW_BYTES, type FrameType } from './rows-frame.ts'

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
        const signal = either(context.signal, outlet.gone)
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

/** Aborted when one of the two is, which live no longer than the answer: much cheaper than AbortSignal.any. */
function either(...signals: readonly AbortSignal[]): AbortSignal {
  const over = new AbortController()
  for (const signal of signals) {
    const end = (): void => over.abort(signal.reason)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  }
  return over.signal
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
        if (error) return
        // A frame that nobody hears any more comes back as a status: the asker died without a word.
        const granted = noResponders(message) ? STOP : Number(message.string())
        this.#outlets.get(message.subject)?.(granted)
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
      if (granted === STOP) this.#gone.abort(new AskerGone('the asker stopped, or is gone'))
      else this.#granted = Math.max(this.#granted, granted)
      this.#wake()
    })
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    // A record is not cut where it need not be: then its reader need not put it together.
    if (this.#held > 0 && this.#held + length > FRAME_BYTES) await this.#send(this.#held)
    this.#pieces.push(...pieces)
    this.#held += length
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

  #sendNow(type: FrameType, bytes: number): void {
    this.#message.respond(encodeFrame(type, this.#number++, this.#cut(bytes)), { reply: this.#creditSubject })
    this.#spent += costOf(bytes)
  }

  #cut(bytes: number): Uint8Array[] {
    this.#held -= bytes
    let missing = bytes
    let whole = 0
    for (const piece of this.#pieces) {
      if (piece.length > missing) break
      missing -= piece.length
      whole++
    }
    // Thousands of small pieces wait here: taken out all at once, not one by one from the front.
    const cut = this.#pieces.splice(0, whole)
    const [next] = this.#pieces
    if (next !== undefined && missing > 0) {
      cut.push(next.subarray(0, missing))
      this.#pieces[0] = next.subarray(missing)
    }
    return cut
  }
}
