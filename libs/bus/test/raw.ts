/** Looking at the bus past the library: what really lies in a stream, and what a broken publisher would send. */
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { inboxPrefix, MailDead, type Identity } from '@postbus/contracts'
import type { NatsServer } from '@postbus/testkit'

export async function raw(nats: NatsServer, party: Identity): Promise<NatsConnection> {
  return connect({
    servers: nats.url,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(nats.seeds[party])),
    inboxPrefix: inboxPrefix(party),
  })
}

/** Everything in MAIL_DEAD, as custody may read it. */
export async function dead(nats: NatsServer): Promise<MailDead[]> {
  const nc = await raw(nats, 'custody')
  try {
    const jsm = await jetstreamManager(nc, { checkAPI: false })
    const { state } = await jsm.streams.info('MAIL_DEAD')
    const found: MailDead[] = []
    for (let seq = state.first_seq; found.length < state.messages; seq++) {
      const message = await jsm.streams.getMessage('MAIL_DEAD', { seq })
      if (message) found.push(MailDead.schema.parse(message.json()))
    }
    return found
  } finally {
    await nc.close()
  }
}

export async function messagesIn(nats: NatsServer, stream: string): Promise<number> {
  const nc = await raw(nats, 'provisioner')
  try {
    return (await (await jetstreamManager(nc, { checkAPI: false })).streams.info(stream)).state.messages
  } finally {
    await nc.close()
  }
}
