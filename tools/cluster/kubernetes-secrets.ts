/**
 * Secrets of one namespace through the Kubernetes API, as the pod's service account. Whatever does not answer, or is busy, is asked
 * again until patience ends; a refusal is not.
 */
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { z } from 'zod'

import type { SecretData, Secrets } from './secrets.ts'

export interface ApiOptions {
  host: string
  port: number
  /** With `token`, `ca.crt` and `namespace`. */
  accountDir: string
  patienceMs: number
}

/** The API says no; its own words. */
export class ApiRefused extends Error {
  override readonly name = 'ApiRefused'
}

const REQUEST_TIMEOUT_MS = 10_000
const PAUSE_MS = 1_000
const MAX_ANSWER_BYTES = 4 * 1024 ** 2

const Secret = z.object({
  metadata: z.object({ resourceVersion: z.string() }).loose(),
  data: z.record(z.string(), z.string()).default({}),
})
const Status = z.object({ message: z.string() })

interface Answer {
  status: number
  body: string
}

export async function kubernetesSecrets({ host, port, accountDir, patienceMs }: ApiOptions): Promise<Secrets> {
  const account = (file: string): Promise<string> => readFile(join(accountDir, file), 'utf8')
  const [ca, namespace] = [await account('ca.crt'), (await account('namespace')).trim()]
  const secrets = `/api/v1/namespaces/${namespace}/secrets`

  async function once(method: string, path: string, body?: unknown): Promise<Answer> {
    const token = (await account('token')).trim() // Exchanged by the kubelet within the hour.
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const asking = request(
      {
        ...{ host, port, method, path, ca, timeout: REQUEST_TIMEOUT_MS },
        headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': 'application/json' },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
          if (text.length > MAX_ANSWER_BYTES) asking.destroy(new Error('the answer of the Kubernetes API is too long'))
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
        response.on('error', reject)
      },
    )
    asking.on('error', reject)
    asking.on('timeout', () => asking.destroy(new Error('the Kubernetes API did not answer in time')))
    asking.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }

  async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
    for (const deadline = performance.now() + patienceMs; ; await pause(PAUSE_MS)) {
      const answer = await once(method, path, body).catch((error: unknown) => {
        if (performance.now() > deadline) throw error
        return null
      })
      if (answer === null) continue
      const isBusy = answer.status === 429 || answer.status >= 500
      if (!isBusy || performance.now() > deadline) return answer
    }
  }

  const refused = (what: string, { status, body }: Answer): ApiRefused =>
    new ApiRefused(`${what}: ${status} ${Status.safeParse(parsed(body)).data?.message ?? ''}`.trim())

  async function find(name: string) {
    const answer = await ask('GET', `${secrets}/${name}`)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw refused(`Secret ${name} cannot be read`, answer)
    return Secret.parse(parsed(answer.body))
  }

  return {
    async get(name) {
      const found = await find(name)
      return found && mapValues(found.data, (value) => Buffer.from(value, 'base64').toString('utf8'))
    },

    async create(name, data, type = 'Opaque') {
      const labels = { 'app.kubernetes.io/part-of': 'postbus' }
      const answer = await ask('POST', secrets, {
        ...{ apiVersion: 'v1', kind: 'Secret', type, metadata: { name, labels }, data: encoded(data) },
      })
      if (answer.status === 201) return true
      if (answer.status === 409) return false
      throw refused(`Secret ${name} cannot be made`, answer)
    },

    async replace(name, data) {
      for (;;) {
        const found = await find(name)
        if (found === undefined) throw new ApiRefused(`Secret ${name} is gone`)
        // The resource version in it makes this a compare-and-set.
        const answer = await ask('PUT', `${secrets}/${name}`, { ...found, data: encoded(data) })
        if (answer.status === 200) return
        if (answer.status !== 409) throw refused(`Secret ${name} cannot be replaced`, answer)
      }
    },
  }
}

const encoded = (data: SecretData): SecretData =>
  mapValues(data, (value) => Buffer.from(value, 'utf8').toString('base64'))

const mapValues = (data: SecretData, by: (value: string) => string): SecretData =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, by(value)]))

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
