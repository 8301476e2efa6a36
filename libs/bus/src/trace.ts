/**
 * The trace a piece of work belongs to, carried through asynchronous calls and, as `traceparent`, through the bus.
 *
 * STANDARDS  W3C Trace Context §3.2 (traceparent)
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomFillSync } from 'node:crypto'

export interface Trace {
  /** 32 hexadecimal digits, shared by everything that follows from one beginning. */
  traceId: string
  /** 16 hexadecimal digits: the step we are in. */
  spanId: string
}

const current = new AsyncLocalStorage<Trace>()
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/
const SAMPLED = '01'

/** Random bytes by the pageful: one call to the kernel's generator serves many ids. */
const pool = Buffer.alloc(4096)
let used = pool.length

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const hex = pool.toString('hex', used, used + bytes)
  used += bytes
  // All zeroes is not an id — Trace Context §3.2.2.3–4.
  return /^0+$/.test(hex) ? randomHex(bytes) : hex
}

export function currentTrace(): Trace | undefined {
  return current.getStore()
}

/** The header of something sent now: the next step of the current trace, or the first of a new one. */
export function nextTraceparent(): string {
  return `00-${current.getStore()?.traceId ?? randomHex(16)}-${randomHex(8)}-${SAMPLED}`
}

/** Runs `work` as the step named by a received header; an absent or malformed one begins a new trace. */
export function inTrace<T>(traceparent: string | undefined, work: () => T): T {
  const [, traceId, spanId] = TRACEPARENT.exec(traceparent ?? '') ?? []
  const usable = traceId && spanId && !/^0+$/.test(traceId) && !/^0+$/.test(spanId)
  return current.run(usable ? { traceId, spanId } : { traceId: randomHex(16), spanId: randomHex(8) }, work)
}
