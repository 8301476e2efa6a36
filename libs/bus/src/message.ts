/** One message of a consumer as it came: where it stands in its stream, and how to answer the server about it. */
import type { Msg } from '@nats-io/transport-node'

import type { Connection } from './connection.ts'

/** What the reply subject says, in either of its forms — ADR-15. */
export interface Position {
  stream: string
  /** 1 at the first delivery. */
  deliveries: number
  sequence: number
  /** When the stream stored it, in nanoseconds; together with the sequence it names the message for ever. */
  stamp: string
}

export interface Delivered extends Position {
  readonly subject: string
  readonly data: Uint8Array
  readonly headers: Msg['headers']
  /** Done: never to be seen again. */
  ack(): void
  /** To be delivered again, after a while. */
  giveBack(afterMs: number): void
  /** Not to be delivered again. Only after its copy is safe elsewhere. */
  term(reason: string): void
  /** Still in hand: the time until it counts as lost begins anew. */
  working(): void
}

const V1_TOKENS = 9
const NANOS = 1_000_000

export function positionOf(reply: string): Position {
  const tokens = reply.split('.')
  // $JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<cseq>.<stamp>.<pending>, or with <domain>.<account> after ACK.
  const [stream, , deliveries, sequence, , stamp] = tokens.slice(tokens.length === V1_TOKENS ? 2 : 4)
  if (!stream || !stamp) throw new Error(`not a message of a consumer: reply subject ${reply}`)
  return { stream, deliveries: Number(deliveries), sequence: Number(sequence), stamp }
}

/**
 * Answers are sent once and not confirmed. One that is lost means one more delivery, which every handler must bear anyway;
 * waiting for a confirmation each time would serialise them behind the store.
 */
export function delivered(message: Msg, connection: Connection): Delivered {
  const reply = message.reply ?? ''
  const answer = (text: string): void => {
    // While disconnected it would only be thrown away; the server delivers again.
    if (connection.connected && !connection.nats.isClosed()) connection.nats.publish(reply, text)
  }
  return {
    ...positionOf(reply),
    subject: message.subject,
    data: message.data,
    headers: message.headers,
    ack: () => answer('+ACK'),
    giveBack: (afterMs) => answer(`-NAK ${JSON.stringify({ delay: Math.round(afterMs) * NANOS })}`),
    term: (reason) => answer(`+TERM ${reason}`),
    working: () => answer('+WPI'),
  }
}
