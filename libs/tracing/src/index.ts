/**
 * @postbus/tracing — which trace a piece of work belongs to, and its spans where they are recorded.
 *
 * Every piece of work that follows from something outside (an SMTP session, an event, a request) has a trace id, recorded or not:
 * log lines name it, and the bus carries it on as `traceparent`. Spans exist only in a trace that is sampled, and only where spans
 * are exported; elsewhere `traced` is a look into a variable and a call.
 *
 * STANDARDS  W3C Trace Context §3.2 (traceparent); OpenTelemetry semantic conventions for names and attributes
 */
export { batched, type Gathered } from './batched.ts'
export { onDatabase } from './database.ts'
export { noTracing, openTracing, type Tracing, type TracingIdentity } from './open-tracing.ts'
export { currentTrace, isRecorded, type Scope, scopeNow, traceparent } from './scope.ts'
export { tracingConfig, type TracingConfig } from './settings.ts'
export {
  beginTrace,
  childStep,
  inTrace,
  resumeTrace,
  Step,
  type StepOptions,
  traced,
  tracedIn,
  tracedRoot,
} from './step.ts'
export { SpanKind, type Attributes, type Tracer } from '@opentelemetry/api'
