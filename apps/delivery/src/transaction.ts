/** One transaction of one route: the message out of the spool, looked into, signed and handed to the hosts of the route. */
import type { SpoolReader } from '@postbus/spool'

import type { SessionWay, SmtpClient } from './adapters/smtp-client.ts'
import type { AttemptPorts, HostRoute } from './attempt/attempt.ts'
import type { Classify } from './attempt/classify.ts'
import { messageOf } from './attempt/content.ts'
import { deliver } from './attempt/deliver.ts'
import type { Destination, Host } from './attempt/destination.ts'
import type { Sign } from './attempt/sign.ts'
import type { NextHopWay } from './routing/route.ts'

export interface TransactionPorts {
  spool: Pick<SpoolReader, 'open'>
  client: Pick<SmtpClient, 'open'>
  sign: Sign
  classify: Classify
  destination(way: NextHopWay): Promise<Destination>
  /** Our name. */
  hostname: string
  /** No further host is tried after so long. */
  connectTotalMs: number
  /** A transaction begins; what it returns is called at its end. */
  transacting(): () => void
}

/** @throws NoSuchRecord, CorruptRecord; and when nobody can say how to sign it. Nothing was sent then. */
export function transactions(ports: TransactionPorts): AttemptPorts['deliver'] {
  const { spool, client, sign, classify, destination, hostname, connectTotalMs, transacting } = ports
  return async (tasks, route) => {
    const [first] = tasks
    const record = await spool.open(first.queueId)
    const ended = transacting()
    try {
      const until = performance.now() + connectTotalMs
      return await deliver(tasks, {
        classify,
        message: messageOf(
          record.size,
          () => record.read(),
          (form, body) => sign(first, form, body),
        ),
        destination: () => destination(route.way),
        open: (host: Host, options: { requireTls: boolean; fresh: boolean }) =>
          client.open(host, options, sessionWayOf(route)),
        hasTime: () => performance.now() < until,
        // Where an operator named the host it may be another program of ours.
        isOurselves: (name: string) => isDiscovered(route.way) && isSameHost(name, hostname),
      })
    } finally {
      ended()
      await record.close()
    }
  }
}

const isDiscovered = (way: NextHopWay): boolean => way.kind === 'mx' && !way.named

/** A name without a dot is anybody's: many hosts call themselves localhost. */
const isSameHost = (name: string, own: string): boolean => own.includes('.') && name.toLowerCase() === own.toLowerCase()

function sessionWayOf({ way, tls, auth, policy }: HostRoute): SessionWay {
  const protocol = way.kind === 'lmtp' ? 'lmtp' : 'smtp'
  return { protocol, tls, auth, source: policy.source, helo: policy.helo, maxMessages: policy.sessionMessages }
}
