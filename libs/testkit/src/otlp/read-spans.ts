/** The spans in one export: opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest. */
import { bytesIn, type Fields, integerIn, messagesIn, readFields } from './protobuf.ts'

export type AttributeValue = string | number | boolean | AttributeValue[] | null

export interface ReceivedSpan {
  /** service.name of its resource. */
  service: string
  resource: Record<string, AttributeValue>
  traceId: string
  spanId: string
  /** '' for a root. */
  parentSpanId: string
  name: string
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number
  startNanos: bigint
  endNanos: bigint
  attributes: Record<string, AttributeValue>
  links: { traceId: string; spanId: string }[]
  failed: boolean
}

const ERROR = 2n

/** @throws when it is no such message */
export function readSpans(body: Buffer): ReceivedSpan[] {
  return messagesIn(readFields(body), 1).flatMap((bytes) => {
    const resourceSpans = readFields(bytes)
    const resource = attributesIn(readFields(bytesIn(resourceSpans, 1)), 1)
    const service = String(resource['service.name'])
    return messagesIn(resourceSpans, 2).flatMap((scopeSpans) =>
      messagesIn(readFields(scopeSpans), 2).map((span) => ({ service, resource, ...spanOf(readFields(span)) })),
    )
  })
}

const hex = (fields: Fields, number: number): string => bytesIn(fields, number).toString('hex')

const spanOf = (span: Fields): Omit<ReceivedSpan, 'service' | 'resource'> => ({
  traceId: hex(span, 1),
  spanId: hex(span, 2),
  parentSpanId: hex(span, 4),
  name: bytesIn(span, 5).toString(),
  kind: Number(integerIn(span, 6)),
  startNanos: integerIn(span, 7),
  endNanos: integerIn(span, 8),
  attributes: attributesIn(span, 9),
  links: messagesIn(span, 13).map((bytes) => {
    const link = readFields(bytes)
    return { traceId: hex(link, 1), spanId: hex(link, 2) }
  }),
  failed: integerIn(readFields(bytesIn(span, 15)), 3) === ERROR,
})

function attributesIn(fields: Fields, number: number): Record<string, AttributeValue> {
  const entries = messagesIn(fields, number).map((bytes): [string, AttributeValue] => {
    const pair = readFields(bytes)
    return [bytesIn(pair, 1).toString(), valueOf(readFields(bytesIn(pair, 2)))]
  })
  return Object.fromEntries(entries)
}

/** opentelemetry.proto.common.v1.AnyValue */
function valueOf(value: Fields): AttributeValue {
  if (value.has(1)) return bytesIn(value, 1).toString()
  if (value.has(2)) return integerIn(value, 2) === 1n
  if (value.has(3)) return Number(BigInt.asIntN(64, integerIn(value, 3)))
  if (value.has(4)) return double(integerIn(value, 4))
  if (value.has(5)) return messagesIn(readFields(bytesIn(value, 5)), 1).map((bytes) => valueOf(readFields(bytes)))
  return null
}

function double(bits: bigint): number {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(bits)
  return bytes.readDoubleLE()
}
