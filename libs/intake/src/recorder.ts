/** Makes one message durable: reads its header, asks whether it may pass, and streams it into the spool behind our own lines. */
import type { Envelope, MailAccepted, QueueId } from '@postbus/contracts'
import { type HeaderField, parameter, parseContentType, parseHeader, parseMessageIds } from '@postbus/message'
import { replies, SmtpError } from '@postbus/smtp'
import { SpoolFull } from '@postbus/spool'
import { currentTrace } from '@postbus/tracing'

import { BoundedBody } from './bounded-body.ts'
import type { Incoming, IntakeLimits, IntakeOptions } from './intake.ts'
import { queueIds } from './queue-id.ts'
import { readHeader } from './read-header.ts'
import { receivedField } from './received.ts'

/** What the books keep of it. */
const MAX_MESSAGE_ID = 998
const MAX_CLIENT_ADDRESS = 64

/** @returns what resolves when the record is durable, and throws SmtpError, or what the body threw, when nothing was kept */
export function recorder(
  { spool, hostname, log, now = () => new Date() }: IntakeOptions,
  { maxHeaderBytes, maxHops }: IntakeLimits,
): (message: Incoming) => Promise<MailAccepted> {
  const nextId = queueIds(() => now().getTime())

  async function record(message: Incoming, body: BoundedBody): Promise<MailAccepted> {
    const queueId = nextId()
    const acceptedAt = now()
    const { fields, begin, headless, mailboxLine } = await readHeader(body, maxHeaderBytes)
    cutLoop(fields, maxHops)
    const { prepend } = await message.inspect(fields)
    const received = receivedField(message.client, hostname, queueId, message.envelope, acceptedAt)
    const lines = [received, ...prepend.map(unbroken), ...(headless ? [''] : [])]
    const ours = Buffer.from(lines.map((line) => `${line}\r\n`).join(''))
    // As Postfix and others do: what is no field becomes one, and what follows stays header.
    const front = mailboxLine ? Buffer.concat([ours, Buffer.from('X-Mailbox-Line: ')]) : ours
    const messageId = messageIdIn([...fields, ...parseHeader(ours)])
    const facts = {
      queueId,
      acceptedAt,
      messageId,
      report: isReport(message, fields),
      traceId: currentTrace()?.traceId,
    }
    return await spool.put(queueId, body.after(front, begin), (size) =>
      describe({ ...message, envelope: asItIs(message.envelope, body) }, facts, size),
    )
  }

  return async (message) => {
    const body = new BoundedBody(message.body, message.maxBytes)
    try {
      return await record(message, body)
    } catch (cause) {
      await body.leave()
      // The client's own failure, and refusals, are told as they are.
      if (cause instanceof SmtpError || body.failedWith(cause)) throw cause
      if (cause instanceof SpoolFull) throw replies.systemFull(cause)
      log.error({ err: cause }, 'message not taken')
      throw replies.tryLater(cause)
    }
  }
}

/**
 * RFC 6152 §3: eight bits must never reach a host that does not take them. So what the next hop has to take is looked at and not
 * believed: many clients declare nothing.
 */
const asItIs = (envelope: Envelope, { eightBit }: BoundedBody): Envelope =>
  eightBit ? { ...envelope, body: '8BITMIME' } : envelope

interface OwnFacts {
  queueId: QueueId
  acceptedAt: Date
  messageId: string | undefined
  report: boolean
  traceId: string | undefined
}

function describe(
  { origin, account, envelope, client }: Incoming,
  { queueId, acceptedAt, messageId, report, traceId }: OwnFacts,
  size: number,
): MailAccepted {
  const { body, smtputf8, requireTls, envid, ret } = envelope
  return {
    queueId,
    incarnation: 0,
    acceptedAt: acceptedAt.toISOString(),
    origin,
    size,
    ...(body !== undefined && { body }),
    smtputf8,
    requireTls,
    ...(envid !== undefined && { envid }),
    ...(ret !== undefined && { ret }),
    envelope,
    ...(account !== undefined && { account }),
    clientAddress: client.address.slice(0, MAX_CLIENT_ADDRESS),
    ...(messageId !== undefined && { messageId }),
    ...(report && { report }),
    ...(traceId !== undefined && { traceId }),
  }
}

/** RFC 3464 §2: from the null reverse-path, a multipart/report of type delivery-status. Some leave the report-type out. */
function isReport({ origin, envelope }: Incoming, fields: readonly HeaderField[]): boolean {
  if (origin !== 'inbound' || envelope.reversePath !== '') return false
  const field = fields.find(({ name }) => name.toLowerCase() === 'content-type')
  const content = field && parseContentType(field.value)
  if (`${content?.type}/${content?.subtype}`.toLowerCase() !== 'multipart/report') return false
  const reportType = parameter(content?.params ?? [], 'report-type')
  return reportType === undefined || reportType.toLowerCase() === 'delivery-status'
}

/** RFC 5321 §6.3: each hop adds one. */
function cutLoop(fields: readonly HeaderField[], maxHops: number): void {
  const hops = fields.filter(({ name }) => name.toLowerCase() === 'received').length
  if (hops > maxHops) throw new SmtpError(554, '5.4.6', 'Too many hops, this message is going in circles')
}

/** Lines come from our own code: a break that is no folding would let a sender write header fields of his own. */
function unbroken(line: string): string {
  if (/[\r\n]/.test(line.replaceAll(/\r\n(?=[ \t])/g, ''))) throw new Error('a line to put in front breaks the header')
  return line
}

function messageIdIn(fields: readonly HeaderField[]): string | undefined {
  const field = fields.find(({ name }) => name.toLowerCase() === 'message-id')
  const [id] = field ? parseMessageIds(field.value) : []
  return id !== undefined && id.length <= MAX_MESSAGE_ID ? id : undefined
}
