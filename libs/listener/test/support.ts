/** A listener with handlers that know one thing each, for transcripts. */
import type { TestContext } from 'node:test'

import { replies } from '@postbus/smtp'
import pino from 'pino'
import { Registry } from '@postbus/metrics'

import {
  type Listener,
  listenSmtp,
  type SmtpEnvelope,
  type SmtpHandlers,
  type SmtpListenOptions,
  smtpMetrics,
} from '../src/index.ts'

export interface Taken {
  envelope: SmtpEnvelope
  text: string
}

export interface TestListener extends Listener {
  taken: Taken[]
  registry: Registry
}

export async function startListener(
  t: TestContext,
  options: Partial<SmtpListenOptions> = {},
  handlers: Partial<SmtpHandlers> = {},
): Promise<TestListener> {
  const taken: Taken[] = []
  const registry = new Registry()
  const listener = await listenSmtp(
    {
      async rcptTo({ forwardPath }) {
        if (/^unknown@/.test(forwardPath)) throw replies.noSuchMailbox()
        // Answered after everything that was asked at the same moment.
        if (/^slow@/.test(forwardPath)) await new Promise((resolve) => setImmediate(resolve))
      },
      async data(envelope, body) {
        const pieces = await Array.fromAsync(body)
        taken.push({ envelope, text: Buffer.concat(pieces).toString('utf8') })
        return { queueId: `M${taken.length}` }
      },
      ...handlers,
    },
    {
      name: 'example.org',
      host: '127.0.0.1',
      port: 0,
      maxMessageOctets: 1_000_000,
      metrics: smtpMetrics(registry),
      log: pino({ level: 'silent' }),
      ...options,
    },
  )
  t.after(() => listener.close(0))
  return { ...listener, taken, registry }
}

export const transcript = (name: string): URL => new URL(`./transcripts/${name}.smtp`, import.meta.url)
