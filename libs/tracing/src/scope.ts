/** Where in which trace we are, carried through asynchronous calls. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomFillSync } from 'node:crypto'

import type { Span, Tracer } from '@opentelemetry/api'

export interface Scope {
  /** 32 hexadecimal digits, shared by everything that follows from one beginning. */
  readonly traceId: string
  /** 16 hexadecimal digits: the step we are in. */
  readonly spanId: string
  /** Null: nothing of this trace is recorded here. */
  readonly recording: { readonly tracer: Tracer; readonly span: Span } | null
}

const current = new AsyncLocalStorage<Scope>()

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

/** A trace of which nothing is recorded; without `of` a new one. */
export const unrecorded = (of?: { traceId: string; spanId: string }): Scope => ({
  traceId: of?.traceId ?? randomHex(16),
  spanId: of?.spanId ?? randomHex(8),
  recording: null,
})

/** For work that goes on later, in somebody else's turn: see `Step` and `batched`. */
export const scopeNow = (): Scope | undefined => current.getStore()

/** For log lines. */
export const currentTrace = (): Pick<Scope, 'traceId' | 'spanId'> | undefined => current.getStore()

/** Whether what is done now belongs to a trace that is recorded here. */
export const isRecorded = (): boolean => (current.getStore()?.recording ?? null) !== null

export const runIn = <T>(scope: Scope, work: () => T): T => current.run(scope, work)

const header = ({ traceId, spanId, recording }: Scope): string =>
  `00-${traceId}-${spanId}-${recording === null ? '00' : '01'}`

/** The header of something sent now: by the step we are in, or by the first of a trace of its own, which nobody records. */
export const traceparent = (): string => header(current.getStore() ?? unrecorded())

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/

export interface Received {
  traceId: string
  spanId: string
  sampled: boolean
}

/** Null where a header is absent or malformed — Trace Context §3.2.2: then a new trace begins. */
export function readTraceparent(text: string | undefined): Received | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? []
  if (!traceId || !spanId || !flags || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
