/**
 * Stands before an S3 server and adds what that one lacks: writers of one key kept apart (`If-None-Match: *`), and everything that
 * goes wrong between two machines, when a test says so.
 */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import aws4 from 'aws4'

import type { S3Server } from './s3-server.ts'

export interface S3Asked {
  method: string
  /** Below the bucket, without the query. */
  key: string
  query: URLSearchParams
}

/**
 * - a status: the server says so, and does nothing
 * - `cut`: the connection breaks before the request was read
 * - `cutAnswer`: what was asked is done, and the connection breaks in the middle of the answer's body, or before it
 * - `lost`: what was asked is done, and nobody is told
 * - `stall`: nothing happens any more
 */
export type S3Fault = number | 'cut' | 'cutAnswer' | 'lost' | 'stall' | null

export interface S3ProxyOptions {
  /** Default true. False: the header is ignored, as some servers do. */
  conditionalWrites?: boolean
}

export interface S3Proxy extends Omit<S3Server, 'kill' | 'start'> {
  /** Asked for every request. */
  fault: (asked: S3Asked) => S3Fault
  /** Objects that listings do not show yet. */
  hidden: (key: string) => boolean
  /** What came, since the last look. */
  takeAsked(): S3Asked[]
}

export async function startS3Proxy(
  t: Pick<TestContext, 'after'>,
  server: S3Server,
  { conditionalWrites = true }: S3ProxyOptions = {},
): Promise<S3Proxy> {
  const { accessKeyId, secretAccessKey, bucket } = server
  const to = new URL(server.endpoint)
  const agent = new Agent({ keepAlive: true })
  /** Keys that are being created: the others wait for their turn. */
  const creating = new Map<string, Promise<void>>()
  let asked: S3Asked[] = []

  const proxy: S3Proxy = {
    ...{ endpoint: '', bucket, accessKeyId, secretAccessKey },
    fault: () => null,
    hidden: () => false,
    takeAsked: () => asked.splice(0),
  }

  async function forward(
    method: string,
    path: string,
    headers: Record<string, string>,
    body: Buffer,
  ): Promise<IncomingMessage> {
    const signed = aws4.sign(
      { service: 's3', region: 'us-east-1', host: to.host, method, path, headers, body },
      { accessKeyId, secretAccessKey },
    )
    const sent = request({ host: to.hostname, port: to.port, agent, method, path, headers: signed.headers })
    sent.end(body)
    const [answer] = await once(sent, 'response')
    return answer
  }

  async function exists(path: string): Promise<boolean> {
    const answer = await forward('HEAD', path, {}, Buffer.alloc(0))
    answer.resume()
    await once(answer, 'close')
    return answer.statusCode === 200
  }

  async function pass(incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage | 412> {
    const { method = '', url: path = '' } = incoming
    // What signs the request is made anew; the rest is the client's.
    const { host: _, authorization: __, connection: ___, 'if-none-match': condition, ...others } = incoming.headers
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(others)) if (typeof value === 'string') headers[name] = value
    if (condition === undefined || !conditionalWrites) return await forward(method, path, headers, body)
    const [key = ''] = path.split('?')
    const before = creating.get(key)
    const { promise, resolve } = Promise.withResolvers<void>()
    creating.set(key, promise)
    try {
      await before
      return (await exists(key)) ? 412 : await forward(method, path, headers, body)
    } finally {
      if (creating.get(key) === promise) creating.delete(key)
      resolve()
    }
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '', to)
    const what: S3Asked = {
      method: incoming.method ?? '',
      key: url.pathname.slice(bucket.length + 2),
      query: url.searchParams,
    }
    asked.push(what)
    const fault = proxy.fault(what)
    if (fault === 'cut') return void incoming.socket.destroy()
    if (fault === 'stall') return
    const body = Buffer.concat(await Array.fromAsync(incoming))
    if (typeof fault === 'number') return void response.writeHead(fault).end()
    const answer = await pass(incoming, body)
    if (answer === 412) return void response.writeHead(412).end()
    const octets = shown(what, Buffer.concat(await Array.fromAsync(answer)), proxy.hidden)
    if (fault === 'lost') return void incoming.socket.destroy()
    const { 'transfer-encoding': _, ...headers } = answer.headers
    const length = incoming.method === 'HEAD' ? headers['content-length'] : octets.length
    response.writeHead(answer.statusCode ?? 500, {
      ...headers,
      ...(length !== undefined && { 'content-length': length }),
    })
    if (fault !== 'cutAnswer') return void response.end(octets)
    response.write(octets.subarray(0, octets.length / 2), () => incoming.socket.destroy())
  }

  const listener = createServer((incoming, response) => {
    handle(incoming, response).catch(() => incoming.socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => {
    listener.closeAllConnections()
    listener.close()
    agent.destroy()
  })
  // Listening on a port.
  const { port } = listener.address() as AddressInfo
  return Object.assign(proxy, { endpoint: `http://127.0.0.1:${port}` })
}

function shown({ key, query }: S3Asked, octets: Buffer, hidden: (key: string) => boolean): Buffer {
  if (key !== '' || !query.has('list-type')) return octets
  const text = octets.toString()
  return Buffer.from(
    text.replaceAll(/<Contents><Key>([^<]*)<\/Key>.*?<\/Contents>/gs, (entry, name: string) =>
      hidden(name) ? '' : entry,
    ),
  )
}
