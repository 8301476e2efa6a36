/** Every party, against a real server with the generated permissions: what its contracts say it can do, and the rest it cannot. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connect, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import {
  contracts,
  identities,
  inboxPrefix,
  MailAccepted,
  parties,
  subjectFilter,
  type Identity,
  type Party,
} from '@postbus/contracts'
import type { NatsServer } from '@postbus/testkit'

import { accepted, platform, until } from './harness.ts'
import { messagesIn } from './raw.ts'

/** A connection whose refusals can be read. */
async function knock(
  nats: NatsServer,
  identity: Identity,
): Promise<{ nc: NatsConnection; denied(act: () => void): Promise<string[]> }> {
  const nc = await connect({
    servers: nats.url,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(nats.seeds[identity])),
    inboxPrefix: inboxPrefix(identity),
  })
  const refused: string[] = []
  void (async () => {
    for await (const status of nc.status()) if (status.type === 'error') refused.push(status.error.message)
  })()
  return {
    nc,
    async denied(act) {
      refused.length = 0
      act()
      // The server says no before it answers the ping behind it.
      await nc.flush()
      await new Promise((resolve) => setImmediate(resolve))
      return [...refused]
    },
  }
}

const concrete = (pattern: string, tokens = {}): string => subjectFilter(pattern, tokens).replaceAll('*', 'x')

test('each party may publish, ask and hear exactly what the contracts give it', async (t) => {
  const { nats } = await platform(t, { shards: 2 })
  for (const party of parties) {
    const { nc, denied } = await knock(nats, party)
    t.after(() => nc.close())
    for (const contract of contracts) {
      const speaks = await denied(() => {
        const subject =
          contract.kind === 'event' || contract.kind === 'hint'
            ? concrete(contract.pattern, contract.kind === 'event' ? contract.narrow?.[party] : {})
            : contract.subject
        nc.publish(subject, '{}')
      })
      assert.equal(
        speaks.length === 0,
        maySpeak(contract, party),
        `${party} publishing ${contract.name}: ${speaks.join()}`,
      )
      if (contract.kind === 'event') continue
      const hears = await denied(() => {
        const subject = contract.kind === 'hint' ? subjectFilter(contract.pattern) : contract.subject
        const shared = contract.kind === 'request' || contract.kind === 'rows'
        nc.subscribe(subject, { callback: () => undefined, ...(shared && { queue: party }) })
      })
      assert.equal(hears.length === 0, mayHear(contract, party), `${party} hearing ${contract.name}: ${hears.join()}`)
    }
  }
})

function maySpeak(contract: (typeof contracts)[number], party: Party): boolean {
  return (contract.kind === 'event' || contract.kind === 'hint' ? contract.producers : contract.askers).includes(party)
}

function mayHear(contract: (typeof contracts)[number], party: Party): boolean {
  if (contract.kind === 'hint') return contract.consumers.includes(party)
  if (contract.kind === 'survey') return contract.answerers.includes(party)
  return contract.kind !== 'event' && contract.answerer === party
}

test('only who must looks into a stream; only delivery takes messages off MAIL_HOLD, only custody off MAIL_DEAD', async (t) => {
  const { nats } = await platform(t, { shards: 2 })
  const looks: Partial<Record<Identity, RegExp>> = { custody: /./, delivery: /^MAIL_(OUT_[01]|HOLD)$/ }
  const removers: Partial<Record<Identity, string>> = { delivery: 'MAIL_HOLD', custody: 'MAIL_DEAD' }
  const all = ['MAIL_ACCEPTED', 'MAIL_LOCAL', 'MAIL_OUT_0', 'MAIL_OUT_1', 'MAIL_STATUS', 'MAIL_HOLD', 'MAIL_DEAD']
  for (const identity of identities) {
    const { nc, denied } = await knock(nats, identity)
    t.after(() => nc.close())
    for (const stream of all) {
      const looking = await denied(() => nc.publish(`$JS.API.STREAM.MSG.GET.${stream}`, ''))
      assert.equal(looking.length === 0, looks[identity]?.test(stream) ?? false, `${identity} looking into ${stream}`)
      const removing = await denied(() => nc.publish(`$JS.API.STREAM.MSG.DELETE.${stream}`, ''))
      assert.equal(removing.length === 0, removers[identity] === stream, `${identity} on ${stream}`)
    }
  }
})

test('nobody may delete, move or copy a stream, and only the provisioner makes anything', async (t) => {
  const { nats } = await platform(t)
  const verbs = {
    nobody: [
      ...['STREAM.DELETE', 'STREAM.PURGE', 'STREAM.MSG.DELETE', 'STREAM.SNAPSHOT', 'STREAM.RESTORE'],
      ...['STREAM.LEADER.STEPDOWN', 'STREAM.PEER.REMOVE'],
    ].map((verb) => `${verb}.MAIL_ACCEPTED`),
    consumers: ['DELETE', 'PAUSE', 'RESET', 'UNPIN', 'LEADER.STEPDOWN'].map(
      (verb) => `CONSUMER.${verb}.MAIL_ACCEPTED.router`,
    ),
    account: ['ACCOUNT.PURGE.MAIL', 'META.LEADER.STEPDOWN', 'SERVER.REMOVE', 'ACCOUNT.STREAM.MOVE.MAIL.MAIL_ACCEPTED'],
    provisioner: [
      ...['STREAM.CREATE.X', 'STREAM.UPDATE.MAIL_ACCEPTED', 'CONSUMER.CREATE.MAIL_ACCEPTED.own'],
      ...['CONSUMER.CREATE.MAIL_ACCEPTED.own.mail.>', 'CONSUMER.DURABLE.CREATE.MAIL_ACCEPTED.own'],
    ],
  }
  for (const identity of identities) {
    const { nc, denied } = await knock(nats, identity)
    t.after(() => nc.close())
    for (const [who, list] of Object.entries(verbs)) {
      for (const verb of list) {
        const refused = await denied(() => nc.publish(`$JS.API.${verb}`, ''))
        assert.equal(refused.length === 0, who === identity, `${identity} on ${verb}`)
      }
    }
    for (const subject of ['>', 'mail.>', '_INBOX.>', '$JS.ACK.>', '$JS.API.>', '$KV.>', '$SYS.>']) {
      const refused = await denied(() => void nc.subscribe(subject, { callback: () => undefined }))
      assert.equal(refused.length, 1, `${identity} hearing ${subject}`)
    }
  }
})

test('what one party keeps in a bucket no other writes or reads, and no bucket is cleared', async (t) => {
  const { nats } = await platform(t)
  const keepers: Record<string, Identity[]> = {
    lease: ['delivery', 'custody', 'pop3'],
    tried: ['router', 'delivery', 'mailstore', 'custody'],
  }
  for (const identity of identities) {
    const { nc, denied } = await knock(nats, identity)
    t.after(() => nc.close())
    for (const [bucket, parties] of Object.entries(keepers)) {
      for (const owner of identities) {
        for (const subject of [
          `$KV.${bucket}.${owner}.x`,
          `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.${owner}.x`,
        ]) {
          const refused = await denied(() => nc.publish(subject, ''))
          assert.equal(refused.length === 0, owner === identity && parties.includes(owner), `${identity} on ${subject}`)
        }
      }
      for (const verb of ['STREAM.PURGE', 'STREAM.MSG.GET', 'DIRECT.GET', 'STREAM.DELETE']) {
        const refused = await denied(() => nc.publish(`$JS.API.${verb}.KV_${bucket}`, ''))
        assert.equal(refused.length, 1, `${identity}: ${verb} of ${bucket}`)
      }
    }
  }
})

for (const ackSubjectsV2 of [false, true]) {
  const form = ackSubjectsV2 ? 'second' : 'first'
  test(`what a party consumes it can acknowledge, with subjects of the ${form} form`, async (t) => {
    const { nats, bus } = await platform(t, { ackSubjectsV2 })
    const [submission, router] = await Promise.all([bus('submission'), bus('router')])
    await submission.publish(MailAccepted, accepted(1))
    const taken = Promise.withResolvers<number>()
    await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async (_, { deliveries }) => {
      taken.resolve(deliveries)
      return { kind: 'done' }
    })
    assert.equal(await taken.promise, 1)
    await until(async () => (await messagesIn(nats, 'MAIL_ACCEPTED')) === 0)
  })
}

test('nobody hears or fills the inbox of another, or pulls from its consumer', async (t) => {
  const { nats } = await platform(t)
  const consumers: Partial<Record<Party, string>> = {
    router: 'MAIL_ACCEPTED.router',
    mailstore: 'MAIL_LOCAL.mailstore',
    delivery: 'MAIL_OUT_0.lane-00',
    custody: 'MAIL_STATUS.custody',
  }
  for (const identity of identities) {
    const { nc, denied } = await knock(nats, identity)
    t.after(() => nc.close())
    for (const other of identities.filter((candidate) => candidate !== identity)) {
      const inbox = `${inboxPrefix(other)}.x`
      assert.equal(
        (await denied(() => void nc.subscribe(inbox, { callback: () => undefined }))).length,
        1,
        `${identity} hearing ${inbox}`,
      )
      assert.equal((await denied(() => nc.publish(inbox, ''))).length, 1, `${identity} filling ${inbox}`)
    }
    for (const [owner, consumer] of Object.entries(consumers)) {
      const acks = [`$JS.ACK.${consumer}.1.1.1.1.1`, `$JS.ACK._.ACCOUNT.${consumer}.1.1.1.1.1`]
      for (const subject of [`$JS.API.CONSUMER.MSG.NEXT.${consumer}`, ...acks]) {
        const refused = await denied(() => nc.publish(subject, ''))
        assert.equal(refused.length === 0, owner === identity, `${identity} on ${subject}`)
      }
    }
  }
})

test('an intake publishes only its own origin', async (t) => {
  const { nats } = await platform(t)
  const { nc, denied } = await knock(nats, 'inbound')
  t.after(() => nc.close())
  assert.equal((await denied(() => nc.publish('mail.accepted.v1.submission.X', '{}'))).length, 1)
  assert.equal((await denied(() => nc.publish('mail.accepted.v1.report.X', '{}'))).length, 1)
})

test('a key the server does not know is refused', async (t) => {
  const { nats } = await platform(t)
  const { createUser } = await import('@nats-io/nkeys')
  const stranger = nkeyAuthenticator(createUser().getSeed())
  await assert.rejects(connect({ servers: nats.url, authenticator: stranger }), { name: 'AuthorizationError' })
})
