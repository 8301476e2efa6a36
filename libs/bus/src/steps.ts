/**
 * What passes over the bus as steps of a trace: OpenTelemetry's semantic conventions for messaging and for RPC.
 *
 * A publication that follows from nothing begins a trace; a question that follows from nothing is not recorded, because services
 * refresh what they know all the time.
 */
import type { EventContract, RequestContract, RowsContract } from '@postbus/contracts'
import {
  type Attributes,
  beginTrace,
  resumeTrace,
  scopeNow,
  SpanKind,
  type Step,
  traced,
  tracedIn,
  type Tracer,
} from '@postbus/tracing'

const SYSTEM = 'nats'

export function publishing<T>(
  tracer: Tracer | null,
  { name, stream }: EventContract,
  work: (step: Step) => Promise<T>,
): Promise<T> {
  const options = { kind: SpanKind.PRODUCER, attributes: messaging('publish', 'send', stream.name) }
  if (scopeNow()) return traced(`publish ${name}`, options, work)
  const step = beginTrace(tracer, `publish ${name}`, options)
  return tracedIn(step, () => work(step))
}

export function processing(
  tracer: Tracer | null,
  traceparent: string | undefined,
  { contract, durable, deliveries }: { contract: EventContract; durable: string; deliveries: number },
): Step {
  return resumeTrace(tracer, traceparent, `process ${contract.name}`, {
    kind: SpanKind.CONSUMER,
    attributes: {
      ...messaging('process', 'process', contract.stream.name),
      'messaging.consumer.group.name': durable,
      'postbus.deliveries': deliveries,
    },
  })
}

type Asked = Pick<RequestContract | RowsContract, 'name'>

export const asking = ({ name }: Asked) => ({ kind: SpanKind.CLIENT, attributes: rpc(name) })

export const answering = (tracer: Tracer | null, traceparent: string | undefined, { name }: Asked): Step =>
  resumeTrace(tracer, traceparent, name, { kind: SpanKind.SERVER, attributes: rpc(name) })

const messaging = (name: string, type: string, stream: string): Attributes => ({
  'messaging.system': SYSTEM,
  'messaging.operation.name': name,
  'messaging.operation.type': type,
  'messaging.destination.name': stream,
})

const rpc = (method: string): Attributes => ({ 'rpc.system': SYSTEM, 'rpc.method': method })
