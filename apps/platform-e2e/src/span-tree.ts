/** Spans of one trace as a tree, for assertions and to be read. */
import type { ReceivedSpan } from '@postbus/testkit'

export interface SpanTree {
  roots: ReceivedSpan[]
  /** Spans whose parent nobody sent. */
  orphans: ReceivedSpan[]
  services: Set<string>
  /** As text: name, service, milliseconds, attributes; two blanks deeper for each generation. */
  text: string
}

const millis = (nanos: bigint): number => Number(nanos / 1000n) / 1000

export function spanTree(all: readonly ReceivedSpan[], traceId: string): SpanTree {
  const spans = all.filter((span) => span.traceId === traceId)
  const known = new Set(spans.map(({ spanId }) => spanId))
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === '')
  const orphans = spans.filter(({ parentSpanId }) => parentSpanId !== '' && !known.has(parentSpanId))
  const lines: string[] = []
  const write = (span: ReceivedSpan, depth: number): void => {
    const { name, service, startNanos, endNanos, attributes, failed } = span
    const tookMs = millis(endNanos - startNanos).toFixed(1)
    const facts = Object.entries(attributes).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    lines.push(`${'  '.repeat(depth)}${name} [${service}] ${tookMs} ms${failed ? ' FAILED' : ''} ${facts.join(' ')}`)
    const children = spans.filter(({ parentSpanId }) => parentSpanId === span.spanId)
    children.sort((a, b) => Number(a.startNanos - b.startNanos))
    for (const child of children) write(child, depth + 1)
  }
  for (const root of [...roots, ...orphans]) write(root, 0)
  return { roots, orphans, services: new Set(spans.map(({ service }) => service)), text: lines.join('\n') }
}
