/** As much of the Kubernetes API as the Job `keys` may use: get, create and replace Secrets of one namespace, with its token. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

import { z } from 'zod'

import { issue, newAuthority } from '../../tls/authority.ts'

const Secret = z.looseObject({
  metadata: z.looseObject({ name: z.string(), resourceVersion: z.string().optional() }),
  data: z.record(z.string(), z.string()),
})
type Secret = z.infer<typeof Secret>

export interface SecretsApi {
  /** What a service account's volume holds. */
  account: Record<'token' | 'ca.crt' | 'namespace', string>
  readonly port: number
  /** Answers so many requests with 503. */
  fail(times: number): void
  /** Somebody else changes the object just before each of so many replacements. */
  overtake(times: number): void
  /** Decoded; undefined: not there. */
  secret(name: string): Record<string, string> | undefined
  close(): Promise<void>
}

export async function serveSecrets(host: string, port: number, namespace: string): Promise<SecretsApi> {
  const authority = await newAuthority('trial')
  const { certificate, key } = await issue(authority, [host])
  const token = randomUUID()
  const secrets = new Map<string, Secret>()
  let revision = 0
  let failures = 0
  let overtakes = 0
  const base = `/api/v1/namespaces/${namespace}/secrets`

  function answer(method: string, path: string, body: string): [status: number, body: unknown] {
    const refused = (status: number, message: string): [number, unknown] => [status, { kind: 'Status', message }]
    const name = path.startsWith(`${base}/`) ? path.slice(base.length + 1) : undefined
    const known = name === undefined ? undefined : secrets.get(name)
    if (method === 'GET' && name !== undefined)
      return known ? [200, known] : refused(404, `secrets "${name}" not found`)
    const secret = Secret.parse(JSON.parse(body))
    const stored = { ...secret, metadata: { ...secret.metadata, resourceVersion: String(++revision) } }
    if (method === 'POST' && path === base) {
      if (secrets.has(secret.metadata.name)) return refused(409, `secrets "${secret.metadata.name}" already exists`)
      secrets.set(secret.metadata.name, stored)
      return [201, stored]
    }
    if (method === 'PUT' && name !== undefined && known !== undefined) {
      if (overtakes-- > 0) known.metadata.resourceVersion = String(++revision)
      if (known.metadata.resourceVersion !== secret.metadata.resourceVersion)
        return refused(409, 'was changed meanwhile')
      secrets.set(name, stored)
      return [200, stored]
    }
    return refused(403, `${method} ${path} is forbidden`)
  }

  const server = createServer({ cert: certificate, key }, (request, response) => {
    text(request).then(
      (body) => {
        if (failures-- > 0) return void response.writeHead(503).end()
        const isKnown = request.headers.authorization === `Bearer ${token}`
        const [status, result] = isKnown
          ? answer(request.method ?? '', request.url ?? '', body)
          : [401, { kind: 'Status', message: 'Unauthorized' }]
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(result))
      },
      () => response.destroy(),
    )
  })
  server.listen(port, host)
  await once(server, 'listening')

  return {
    port: (server.address() as AddressInfo).port, // Listening on TCP.
    fail: (times) => void (failures = times),
    overtake: (times) => void (overtakes = times),
    account: { token, 'ca.crt': authority.certificate, namespace },
    secret(name) {
      const data = secrets.get(name)?.data
      return (
        data &&
        Object.fromEntries(
          Object.entries(data).map(([entry, value]) => [entry, Buffer.from(value, 'base64').toString('utf8')]),
        )
      )
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
