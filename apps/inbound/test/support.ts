/** inbound's handlers behind the real listener, with fakes for the directory and for intake. */
import type { TestContext } from 'node:test'

import type { QueueId } from '@postbus/contracts'
import type { RecipientFinding } from '@postbus/directory-client'
import { type Listener, listenSmtp, smtpMetrics } from '@postbus/listener'
import { parseHeader } from '@postbus/message'
import type { SmtpError } from '@postbus/smtp'
import pino from 'pino'
import { Registry } from '@postbus/metrics'

import { inboundHandlers, type InboundPorts } from '../src/handlers/smtp.ts'

type Incoming = Parameters<InboundPorts['intake']['take']>[0]

export interface Taken extends Pick<Incoming, 'origin' | 'envelope' | 'client'> {
  text: string
}

export interface TestInbound extends Listener {
  taken: Taken[]
  /** The next MAIL meets a closed gate. */
  closeGate(refusal: SmtpError | null): void
  /** What was asked of the directory. */
  asked: string[]
}

/** example.org has Jones, Brown and somebody disabled; nobody else is ours. */
function directory(forwardPath: string): RecipientFinding {
  if (/^postmaster$/i.test(forwardPath)) return 'ours'
  if (!/@example\.org$/i.test(forwardPath)) return 'foreign'
  if (/^gone@/i.test(forwardPath)) return 'disabled'
  return /^(?:jones|brown)@/i.test(forwardPath) ? 'ours' : 'unknown'
}

export async function startInbound(t: TestContext, ports: Partial<InboundPorts> = {}): Promise<TestInbound> {
  const taken: Taken[] = []
  const asked: string[] = []
  let gate: SmtpError | null = null
  const handlers = inboundHandlers(
    {
      async findRecipient(forwardPath) {
        asked.push(forwardPath)
        return directory(forwardPath)
      },
      reverseName: async () => 'client.example.com',
      intake: {
        gate: () => gate,
        async take({ origin, envelope, client, body, inspect }) {
          const bytes = Buffer.concat(await Array.fromAsync(body))
          const { prepend } = await inspect(parseHeader(bytes))
          taken.push({ origin, envelope, client, text: [...prepend, bytes.toString('utf8')].join('\r\n') })
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
    metrics: smtpMetrics(new Registry()),
    log: pino({ level: 'silent' }),
  })
  t.after(() => listener.close(0))
  return {
    ...listener,
    taken,
    asked,
    closeGate(refusal) {
      gate = refusal
    },
  }
}

export const transcript = (name: string): URL => new URL(`./transcripts/${name}.smtp`, import.meta.url)
