/** One transaction of one route: the message out of the spool, looked into, signed and handed to the hosts of the route. */
import type { MailOut } from '@postbus/contracts'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { traced } from '@postbus/tracing'

import type { SigningKeys } from './adapters/signing-keys.ts'
import { type SessionWay, SmtpClient } from './adapters/smtp-client.ts'
import type { HostRoute } from './attempt/attempt.ts'
import { type Classify, classifier } from './attempt/classify.ts'
import { messageOf } from './attempt/content.ts'
import { type Delivered, deliver } from './attempt/deliver.ts'
import type { Destination, Host } from './attempt/destination.ts'
import { type Sign, signer } from './attempt/sign.ts'
import type { DeliveryConfig } from './config.ts'
import type { DeliveryMetrics } from './metrics.ts'
import { clientOptions, replyRules } from './options.ts'
import type { NextHopWay } from './routing/route.ts'

/** Signatures are about a kibibyte each; a message to many sites is signed once as long as they are remembered. */
const SIGNATURES_REMEMBERED = 2000

/**
 * @param destination where the way leads; not asked before the message is there
 * @throws NoSuchRecord, CorruptRecord; and when nobody can say how to sign it. Nothing was sent then.
 */
export type Transact = (
  tasks: readonly [MailOut, ...MailOut[]],
  route: HostRoute,
  destination: () => Promise<Destination>,
) => Promise<Delivered>

/** What is counted of a transaction, wherever it takes place. */
export type TransactionMetrics = Pick<DeliveryMetrics, 'session' | 'sessionFailed' | 'signed'>

export interface Transactions {
  transact: Transact
  close(): Promise<void>
}

/** @param keys null: nothing is signed */
export async function openTransactions(
  config: DeliveryConfig,
  keys: Pick<SigningKeys, 'keysOf' | 'generation'> | null,
  { session, sessionFailed, signed }: TransactionMetrics,
): Promise<Transactions> {
  const client = new SmtpClient({ ...(await clientOptions(config)), opened: session, failed: sessionFailed })
  const classify = classifier(await replyRules(config))
  const spool = await openSpoolReader(config.SPOOL, { settings: config })
  const sign = keys === null ? unsigned : signer({ ...keys, now: () => new Date(), signed }, SIGNATURES_REMEMBERED)
  const hostname = config.MAIL_HOSTNAME
  return {
    transact: transactionsWith({
      ...{ spool, client, sign, classify, hostname },
      connectTotalMs: config.DELIVERY_CONNECT_TOTAL_MS,
    }),
    async close() {
      client.close()
      await spool.close()
    },
  }
}

const unsigned: Sign = async () => ''

interface TransactionPorts {
  spool: Pick<SpoolReader, 'open'>
  client: Pick<SmtpClient, 'open'>
  sign: Sign
  classify: Classify
  /** Our name. */
  hostname: string
  /** No further host is tried after so long. */
  connectTotalMs: number
}

function transactionsWith({ spool, client, sign, classify, hostname, connectTotalMs }: TransactionPorts): Transact {
  return async (tasks, route, destination) => {
    const [first] = tasks
    const record = await traced('spool open', {}, () => spool.open(first.queueId))
    try {
      const until = performance.now() + connectTotalMs
      return await deliver(tasks, {
        ...{ classify, destination },
        message: messageOf(
          record.size,
          () => record.read(),
          (form, body) => sign(first, form, body),
        ),
        open: (host: Host, options: { requireTls: boolean; fresh: boolean }) =>
          client.open(host, options, sessionWayOf(route)),
        hasTime: () => performance.now() < until,
        // Where an operator named the host it may be another program of ours.
        isOurselves: (name: string) => isDiscovered(route.way) && isSameHost(name, hostname),
      })
    } finally {
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
