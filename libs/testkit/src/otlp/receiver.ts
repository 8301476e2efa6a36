/** A collector of spans: takes OTLP over HTTP as a real one does and keeps what came. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { type ReceivedSpan, readSpans } from './read-spans.ts'

export interface OtlpReceiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string
  readonly spans: readonly ReceivedSpan[]
  /** Headers of every export. */
  readonly exports: readonly NodeJS.Dict<string | string[]>[]
  /** From now on exports are answered with this status. */
  answer(status: number): void
}

export async function startOtlpReceiver(t: Pick<TestContext, 'after'>): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const exports: NodeJS.Dict<string | string[]>[] = []
  let status = 200
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      exports.push(request.headers)
      const understood = request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf'
      if (understood && status === 200) spans.push(...readSpans(Buffer.concat(chunks)))
      response.writeHead(understood ? status : 404, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo // Listening on TCP.
  return { url: `http://127.0.0.1:${port}`, spans, exports, answer: (next) => void (status = next) }
}
