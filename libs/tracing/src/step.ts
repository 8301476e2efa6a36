/**
 * A step of a trace: a span where the trace is recorded, otherwise only its ids.
 *
 * What failed is named by the class of its error and never by its text: texts hold addresses and what peers said.
 */
import {
  type Attributes,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api'

import { readTraceparent, runIn, type Scope, scopeNow, unrecorded } from './scope.ts'

export interface StepOptions {
  kind?: SpanKind
  attributes?: Attributes
  /** What it also follows from. */
  links?: readonly (Scope | undefined)[]
}

export class Step {
  readonly #scope: Scope | null

  constructor(scope: Scope | null) {
    this.#scope = scope
  }

  get scope(): Scope | undefined {
    return this.#scope ?? undefined
  }

  get recorded(): boolean {
    return this.#span !== undefined
  }

  get #span(): Span | undefined {
    return this.#scope?.recording?.span
  }

  run<T>(work: () => T): T {
    return this.#scope === null ? work() : runIn(this.#scope, work)
  }

  set(attributes: Attributes): void {
    this.#span?.setAttributes(attributes)
  }

  /** @param type a word for what went wrong: the semantic conventions' error.type */
  failed(type: string): void {
    this.#span?.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR })
  }

  /** @param at when it ended, if not now (milliseconds since 1970) */
  end(at?: number): void {
    this.#span?.end(at)
  }
}

/** Of a trace that nobody records: everything on it does nothing. */
const nothing = new Step(null)

/** The first step of a new trace. @param tracer null: not recorded */
export function beginTrace(tracer: Tracer | null, name: string, options: StepOptions = {}): Step {
  if (tracer === null) return new Step(unrecorded())
  return new Step(scopeOf(tracer, tracer.startSpan(name, spanOptions(options), ROOT_CONTEXT)))
}

/** The next step of the trace a received header names; an absent or malformed one begins a new trace. */
export function resumeTrace(
  tracer: Tracer | null,
  traceparent: string | undefined,
  name: string,
  options: StepOptions = {},
): Step {
  const received = readTraceparent(traceparent)
  if (received === null) return beginTrace(tracer, name, options)
  if (tracer === null || !received.sampled) return new Step(unrecorded(received))
  const { traceId, spanId } = received
  const parent = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true }
  const context = trace.setSpanContext(ROOT_CONTEXT, parent)
  return new Step(scopeOf(tracer, tracer.startSpan(name, spanOptions(options), context)))
}

/** A step inside the one we are in, or inside `parent`. Whoever opened it ends it. */
export function childStep(name: string, options: StepOptions = {}, parent: Scope | undefined = scopeNow()): Step {
  if (!parent?.recording) return parent ? new Step(parent) : nothing
  const { tracer, span } = parent.recording
  const context = trace.setSpan(ROOT_CONTEXT, span)
  return new Step(scopeOf(tracer, tracer.startSpan(name, spanOptions(options), context)))
}

/** Does the work as a step of the one we are in, which ends when the work is settled. */
export function traced<T>(name: string, options: StepOptions, work: (step: Step) => Promise<T>): Promise<T> {
  if (!scopeNow()?.recording) return work(nothing)
  const step = childStep(name, options)
  return tracedIn(step, () => work(step))
}

/** Does the work as the first step of a trace of its own; where none are recorded, just does it. */
export function tracedRoot<T>(
  tracer: Tracer | null,
  name: string,
  options: StepOptions,
  work: (step: Step) => Promise<T>,
): Promise<T> {
  if (tracer === null) return work(nothing)
  const step = beginTrace(tracer, name, options)
  return tracedIn(step, () => work(step))
}

/** Does the work inside the step, and ends it. */
export async function tracedIn<T>(step: Step, work: () => Promise<T>): Promise<T> {
  if (!step.recorded) return step.run(work)
  try {
    return await step.run(work)
  } catch (error) {
    step.failed(error instanceof Error ? error.name : typeof error)
    throw error
  } finally {
    step.end()
  }
}

/** Runs `work` as part of the trace a received header names, without a step of its own. */
export const inTrace = <T>(traceparent: string | undefined, work: () => T): T =>
  runIn(unrecorded(readTraceparent(traceparent) ?? undefined), work)

function scopeOf(tracer: Tracer, span: Span): Scope {
  const { traceId, spanId } = span.spanContext()
  return { traceId, spanId, recording: span.isRecording() ? { tracer, span } : null }
}

function spanOptions({ kind = SpanKind.INTERNAL, attributes, links = [] }: StepOptions) {
  const linked = links.flatMap((scope): Link[] =>
    scope?.recording ? [{ context: scope.recording.span.spanContext() }] : [],
  )
  return { kind, ...(attributes && { attributes }), ...(linked.length > 0 && { links: linked }) }
}
