/** submission's handlers behind the real listener, with fakes for the directory and for intake. */
import type { TestContext } from 'node:test'

import type { QueueId } from '@postbus/contracts'
import { type Listener, listenSmtp, submissionMetrics } from '@postbus/listener'
import { parseHeader } from '@postbus/message'
import type { Verifier } from '@postbus/sasl'
import { testCertificate } from '@postbus/testkit'
import pino from 'pino'
import { Registry } from '@postbus/metrics'

import type { Login } from '../src/acceptance/log-in.ts'
import { submissionHandlers, type SubmissionPorts } from '../src/handlers/smtp.ts'

/** jones owns jones@ and info@example.org; the password is "secret". "slow" is throttled. */
const password: Verifier<Login>['password'] = async ({ username, password }) => {
  if (username === 'slow') return { kind: 'throttled', retryAfterMs: 1000 }
  const right = username === 'jones@example.org' && password === 'secret'
  return right
    ? { kind: 'accepted', granted: { account: 'a0000001', address: username } }
    : { kind: 'refused', delayMs: 1234 }
}

const down = (): Promise<never> => Promise.reject(new Error('nobody answers'))
export const unreachable: Verifier<Login> = { password: down, scramStart: down, scramFinish: down, bearer: down }

type Incoming = Parameters<SubmissionPorts['intake']['take']>[0]

export interface Taken extends Pick<Incoming, 'origin' | 'account' | 'envelope' | 'client'> {
  text: string
}

export interface TestSubmission extends Listener {
  taken: Taken[]
  ca: string
  /** Recipients counted against the account. */
  spent: number[]
  /** Milliseconds the refused had to wait. */
  pauses: number[]
}

export async function startSubmission(
  t: TestContext,
  ports: Partial<SubmissionPorts> = {},
  implicitTls = false,
): Promise<TestSubmission> {
  const tls = await testCertificate(t)
  const taken: Taken[] = []
  const spent: number[] = []
  const pauses: number[] = []
  const handlers = submissionHandlers(
    {
      verifier: () => ({ ...unreachable, password }),
      pause: async (ms) => void pauses.push(ms),
      deniedSenders: async (_account, addresses) =>
        addresses.filter((address) => !/^(?:jones|info)@example\.org$/i.test(address)),
      findRecipient: async (address) => (/^nobody@example\.org$/.test(address) ? 'unknown' : 'foreign'),
      async spend(_account, recipients) {
        spent.push(recipients)
        return null
      },
      now: () => new Date('2026-01-05T10:00:00Z'),
      unique: () => 'unique',
      domain: 'example.org',
      intake: {
        gate: () => null,
        async take({ origin, account, envelope, client, body, inspect }) {
          const bytes = Buffer.concat(await Array.fromAsync(body))
          const { prepend } = await inspect(parseHeader(bytes))
          taken.push({
            origin,
            ...(account !== undefined && { account }),
            envelope,
            client,
            text: [...prepend, bytes.toString('utf8')].join('\r\n'),
          })
          return { queueId: '01J9ZK3V8Q6X4T2M7N5R1C0B9A' as QueueId, size: bytes.length }
        },
      },
      ...ports,
    },
    1_000_000,
  )
  const listener = await listenSmtp(handlers, {
    name: 'example.org',
    host: '127.0.0.1',
    port: 0,
    tls,
    implicitTls,
    authRequired: true,
    metrics: submissionMetrics(new Registry()),
    log: pino({ level: 'silent' }),
  })
  t.after(() => listener.close(0))
  return { ...listener, taken, spent, pauses, ca: tls.ca }
}

export const transcript = (name: string): URL => new URL(`./transcripts/${name}.smtp`, import.meta.url)
