/**
 * Take responsibility for one message: spool record, then event, then (in the caller) the 250.
 *
 * Once the record is durable the only answer is success, also when the bus says nothing: custody publishes it from the
 * spool. A crash between record and 250 makes the peer send again and the message may come twice, which SMTP allows
 * (RFC 1047). No order loses mail that was answered with 250.
 *
 * STANDARDS  RFC 5321 §6.1 (responsibility), §4.4 (Received), §6.3 (loops), §4.5.3.1.7 (size)
 */
import type { Bus } from '@postbus/bus'
import type { AccountId, Envelope, MailAccepted, Origin, QueueId } from '@postbus/contracts'
import { countReceived, parseHeader, type HeaderField } from '@postbus/message'
import { replies, SmtpError } from '@postbus/smtp'
import { SpoolFull, type SpoolWriter } from '@postbus/spool'
import type { Logger } from 'pino'

import { Announcer } from './announce.ts'
import { readHeader, type Arriving } from './header.ts'
import { queueIds } from './queue-id.ts'
import { receivedField, type Client } from './received.ts'

export interface Incoming {
  origin: Exclude<Origin, 'report'>
  account?: AccountId
  envelope: Envelope
  client: Client
  /** CRLF lines, dot-unstuffed; the listener refused bare CR and LF. */
  body: AsyncIterable<Uint8Array>
  /** Of the message as the client sends it. */
  maxBytes: number
  /**
   * Called once with the complete header, before anything is durable. May throw SmtpError. The lines it returns, complete
   * fields without CRLF, are put in front of the message.
   */
  inspect(header: readonly HeaderField[]): Promise<{ prepend: string[] }>
}

export interface Intake {
  /** Asked at MAIL: the refusal to give now, or null. Opens again by itself when there is room. */
  gate(): SmtpError | null
  /**
   * Resolves when the message is ours.
   * @throws SmtpError with the reply to give; nothing is kept
   * @throws whatever `body` throws; nothing is kept
   */
  take(message: Incoming): Promise<{ queueId: QueueId; size: number }>
  /** Stops what runs in the background. */
  drain(): Promise<void>
}

export interface IntakeMetrics {
  accepted(origin: Incoming['origin'], bytes: number, elapsedMs: number): void
}

export interface IntakeOptions {
  bus: Pick<Bus, 'publish'>
  spool: SpoolWriter
  /** Our name in Received. */
  hostname: string
  log: Logger
  metrics?: IntakeMetrics
  now?: () => Date
  /** Longer headers are refused with 552 5.3.4. */
  maxHeaderBytes?: number
  /** More Received fields than this mean a loop — RFC 5321 §6.3: at least 100. */
  maxHops?: number
  announceFirstTryMs?: number
  announceRetryMs?: number
  announceMaxWaiting?: number
}

export const intakeDefaults = {
  maxHeaderBytes: 512 * 1024,
  maxHops: 100,
  announceFirstTryMs: 5000,
  announceRetryMs: 1000,
  announceMaxWaiting: 1000,
}

/** What contracts carry of a Message-ID. */
const MAX_MESSAGE_ID = 998
const CRLF = Buffer.from('\r\n')

export function createIntake(options: IntakeOptions): Intake {
  const { bus, spool, hostname, log, metrics, now = () => new Date() } = options
  const limits = { ...intakeDefaults, ...options }
  const newQueueId = queueIds(() => now().getTime())
  const announcer = new Announcer(bus, log, {
    firstTryMs: limits.announceFirstTryMs,
    retryMs: limits.announceRetryMs,
    maxWaiting: limits.announceMaxWaiting,
  })

  async function take(message: Incoming): Promise<{ queueId: QueueId; size: number }> {
    const startedAt = performance.now()
    const queueId = newQueueId()
    const receivedAt = now()
    const arriving = await readHeader(message.body, limits.maxHeaderBytes)
    const fields = parseHeader(arriving.header)
    let prepend: string[]
    try {
      if (countReceived(arriving.header) > limits.maxHops) {
        throw new SmtpError(554, '5.4.6', 'Too many hops; this message goes round in a loop')
      }
      prepend = (await message.inspect(fields)).prepend
    } catch (refusal) {
      await arriving.discard()
      throw refusal
    }
    const trace = receivedField({
      client: message.client,
      hostname,
      queueId,
      recipient:
        message.envelope.recipients.length === 1 ? (message.envelope.recipients[0]?.forwardPath ?? null) : null,
      receivedAt,
    })
    const front = [trace, ...prepend.map((line) => `${line}\r\n`)].join('')
    const accepted = await keep(queueId, whole(front, arriving, fields, message.maxBytes), (size) => ({
      ...factsOf(message),
      queueId,
      incarnation: 0,
      acceptedAt: receivedAt.toISOString(),
      size,
      ...messageIdOf(fields, prepend),
    }))
    // Before the 250, but never instead of it: from here on the message is ours.
    await announcer.announce(accepted)
    metrics?.accepted(message.origin, accepted.size, performance.now() - startedAt)
    return { queueId, size: accepted.size }
  }

  async function keep(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => MailAccepted,
  ): Promise<MailAccepted> {
    try {
      return await spool.put(queueId, body, describe)
    } catch (cause) {
      if (cause instanceof SpoolFull) throw replies.systemFull(cause)
      throw cause
    }
  }

  return {
    gate: () => (spool.hasRoom() && !announcer.full ? null : replies.systemFull()),
    take,
    drain: () => announcer.stop(),
  }
}

/** What goes into the record: what we put in front, then the message as it came, up to its limit. */
async function* whole(
  front: string,
  { header, rest }: Arriving,
  fields: readonly HeaderField[],
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  let size = header.length
  // A body without a header would otherwise become part of ours.
  const headless = fields[0] !== undefined && fields[0].name === ''
  yield Buffer.concat([Buffer.from(front), headless ? CRLF : Buffer.alloc(0), header])
  for await (const chunk of rest) {
    size += chunk.length
    if (size > maxBytes) throw new SmtpError(552, '5.3.4', 'Message too big')
    yield chunk
  }
  if (size > maxBytes) throw new SmtpError(552, '5.3.4', 'Message too big')
}

function factsOf({ origin, account, envelope, client }: Incoming) {
  const { body, smtputf8, requireTls, envid, ret } = envelope
  return {
    origin,
    envelope,
    body,
    smtputf8,
    requireTls,
    envid,
    ret,
    ...(account !== undefined && { account }),
    clientAddress: client.address,
  }
}

function messageIdOf(fields: readonly HeaderField[], prepend: readonly string[]): { messageId?: string } {
  const present = fields.find(({ name }) => name.toLowerCase() === 'message-id')?.value
  const added = prepend.find((line) => /^message-id:/i.test(line))?.slice('message-id:'.length)
  const messageId = (present ?? added)?.trim()
  return messageId === undefined || messageId === '' || messageId.length > MAX_MESSAGE_ID ? {} : { messageId }
}
