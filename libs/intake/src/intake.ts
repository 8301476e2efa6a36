/**
 * The one way a message becomes ours: header checked, record durable, event published, and only then the caller's 250.
 *
 * Before the record is durable anything may refuse. From then on the only answer is success: a publication that fails is made up
 * for later, here or by custody. A crash between record and 250 makes the peer send again — RFC 1047.
 *
 * STANDARDS  RFC 5321 §4.4 (Received), §6.1 (responsibility), §6.3 (loops), RFC 1870 §6 (size)
 */
import type { Bus } from '@postbus/bus'
import type { AccountId, Envelope, QueueId } from '@postbus/contracts'
import type { HeaderField } from '@postbus/message'
import { replies, type SmtpError } from '@postbus/smtp'
import type { SpoolWriter } from '@postbus/spool'
import { traced } from '@postbus/tracing'
import type { Logger } from 'pino'

import { Publisher, type PublisherLimits } from './publisher.ts'
import type { Client } from './received.ts'
import { recorder } from './recorder.ts'

export interface Incoming {
  origin: 'submission' | 'inbound'
  account?: AccountId
  envelope: Envelope
  client: Client
  /** CRLF lines, dot-unstuffed; the listener refused bare CR and LF. */
  body: AsyncIterable<Uint8Array>
  /** Octets of the body. */
  maxBytes: number
  /**
   * Called once with the complete header, before anything is durable. May throw SmtpError. Answers with the lines to put in
   * front, complete, without CRLF at the end (`Date: …`).
   */
  inspect(header: readonly HeaderField[]): Promise<{ prepend: string[] }>
}

export interface Intake {
  /** Asked at MAIL: the refusal to give now, or null. Closed while the spool or the bus is full; opens by itself. */
  gate(): SmtpError | null
  /**
   * Resolves when the message is ours. `size` is that of the record, trace header included.
   * @throws SmtpError nothing was kept; whatever `body` throws passes through
   */
  take(message: Incoming): Promise<{ queueId: QueueId; size: number }>
  /** Waits for what is in hand, and for publications that failed, as long as `drainMs` allows. Takes nothing more. */
  drain(): Promise<void>
}

export interface IntakeLimits extends PublisherLimits {
  maxHeaderBytes: number
  /** Received fields a message may have come with. RFC 5321 §6.3: at least 100. */
  maxHops: number
}

export interface IntakeOptions extends Partial<IntakeLimits> {
  bus: Pick<Bus, 'publish'>
  spool: Pick<SpoolWriter, 'put' | 'hasRoom'>
  /** Ours, in Received. */
  hostname: string
  log: Logger
  now?: () => Date
  /** Told of every message that became ours; must not throw. `seconds`: from the first octet asked for to the answer. */
  onAccepted?: (message: { origin: Incoming['origin']; bytes: number; seconds: number }) => void
}

export const intakeDefaults: IntakeLimits = {
  maxHeaderBytes: 256 * 1024,
  maxHops: 100,
  publishWaitMs: 5000,
  firstPauseMs: 250,
  maxUnpublished: 10_000,
  drainMs: 5000,
}

export function createIntake(options: IntakeOptions): Intake {
  const { bus, spool, log } = options
  const limits = limitsFrom(options)
  const publisher = new Publisher(bus, log, limits)
  const put = recorder(options, limits)
  const inHand = new Set<Promise<unknown>>()
  let draining = false

  async function take(message: Incoming): Promise<{ queueId: QueueId; size: number }> {
    const begun = performance.now()
    const accepted = await traced('spool write', {}, async (step) => {
      const record = await put(message)
      step.set({ 'postbus.queue_id': record.queueId, 'messaging.message.body.size': record.size })
      return record
    })
    // Ours from here on: the only answer is success.
    await publisher.publish(accepted)
    const { queueId, size } = accepted
    options.onAccepted?.({ origin: message.origin, bytes: size, seconds: (performance.now() - begun) / 1000 })
    return { queueId, size }
  }

  return {
    gate() {
      return publisher.full || !spool.hasRoom() ? replies.systemFull() : null
    },
    take(message) {
      if (draining) return Promise.reject(replies.tryLater(new Error('this process is stopping')))
      const taking = take(message)
      inHand.add(taking)
      const done = (): boolean => inHand.delete(taking)
      taking.then(done, done)
      return taking
    },
    async drain() {
      draining = true
      await Promise.allSettled(inHand)
      await publisher.drain()
    },
  }
}

function limitsFrom(options: Partial<IntakeLimits>): IntakeLimits {
  const { maxHeaderBytes, maxHops, publishWaitMs, firstPauseMs, maxUnpublished, drainMs } = options
  return {
    maxHeaderBytes: maxHeaderBytes ?? intakeDefaults.maxHeaderBytes,
    maxHops: maxHops ?? intakeDefaults.maxHops,
    publishWaitMs: publishWaitMs ?? intakeDefaults.publishWaitMs,
    firstPauseMs: firstPauseMs ?? intakeDefaults.firstPauseMs,
    maxUnpublished: maxUnpublished ?? intakeDefaults.maxUnpublished,
    drainMs: drainMs ?? intakeDefaults.drainMs,
  }
}
