/**
 * Poison on every subject: what is no JSON, what matches no contract, and what matches its contract and is nonsense. It ends in
 * MAIL_DEAD, or in a status of its own, and everything else flows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headers, type NatsConnection } from '@nats-io/transport-node'
import {
  bucketOf,
  laneOf,
  MailAccepted,
  MailDead,
  MailHold,
  MailLocal,
  MailOut,
  MailStatus,
  QueueId,
} from '@postbus/contracts'

import { until } from '../platform.ts'
import { administrator, managerOf } from '../raw-bus.ts'
import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

const ROUNDS = long ? 20 : 3
const BURIED_MS = 120_000
const LANE = laneOf('far.test')

const queueId = QueueId.parse('00000000000000000000000000')
const n = '0123456789abcdef'
const facts = {
  ...{ queueId, incarnation: 0, acceptedAt: '2026-01-05T10:00:00Z', origin: 'inbound', size: 1 },
  ...{ smtputf8: false, requireTls: false },
} as const
/** A message nobody accepted, from nobody, to nobody. */
const accepted = MailAccepted.schema.parse({
  ...facts,
  envelope: { reversePath: '', recipients: [{ forwardPath: 'nobody@example.org' }] },
})
const task = { ...facts, n, reversePath: '', original: { forwardPath: 'a@b.test' }, forwardPath: 'a@b.test' }
const local = MailLocal.schema.parse({ ...task, account: 'nobody0000000' })
const out = MailOut.schema.parse({
  ...{ ...task, site: 'far.test', shard: 0, attempt: 1, expiresAt: '2036-01-05T10:00:00Z' },
})
const hold = MailHold.schema.parse({ task: out, heldAt: '2026-01-05T10:00:00Z', rule: 'none' })
const status = MailStatus.schema.parse({
  bucket: bucketOf(queueId),
  statuses: [
    { kind: 'delivered', queueId, n, incarnation: 7, attempt: 3, at: '2026-01-05T10:00:00Z', account: 'nobody0000000' },
  ],
})

interface Poison {
  subject: string
  /** Whether it comes to MAIL_DEAD; a kept stream keeps what it is given, and a status about nothing is only that. */
  dies: boolean
  nonsense?: unknown
}

const subjects: Poison[] = [
  { subject: MailAccepted.subject(accepted), dies: true, nonsense: accepted },
  { subject: MailLocal.subject(local), dies: true, nonsense: local },
  { subject: MailOut.subject(out), dies: true, nonsense: out },
  { subject: `mail.out.v1.0.q.${LANE}.~.X.Y`, dies: true },
  { subject: MailStatus.subject(status), dies: true, nonsense: status },
  { subject: MailHold.subject(hold), dies: false, nonsense: hold },
  { subject: 'mail.hold.v1.x.y.z', dies: false },
  { subject: 'mail.dead.v1.x.y.z.z', dies: false },
]
const POISONS = ['{', '[]', '{"queueId":"../../../etc/passwd","n":null}', '\0'.repeat(1000)]

/** @returns how many must come to MAIL_DEAD */
async function poison(connection: NatsConnection): Promise<number> {
  let deadly = 0
  for (const { subject, dies, nonsense } of subjects) {
    for (const payload of POISONS) {
      connection.publish(subject, payload)
      if (dies) deadly++
    }
    if (nonsense !== undefined) connection.publish(subject, JSON.stringify(nonsense))
  }
  // A schedule fires into the work subject, whatever is in it.
  const header = headers()
  header.set('Nats-Schedule', `@at ${new Date().toISOString()}`)
  header.set('Nats-Schedule-Target', MailOut.subject(out))
  connection.publish(MailOut.subject(out).replace('.q.', '.s.'), '{', { headers: header })
  await connection.flush()
  return deadly + 1
}

test('poison on every subject, under load: it is buried, and the rest flows', async (t) => {
  const admin = administrator()
  const it = await platformUnderLoad(t, {}, { args: admin.args })
  const connection = await admin.connect(it.platform.ready())
  t.after(() => connection.close())
  let deadly = 0
  const faults = Array.from({ length: ROUNDS }, (): Fault => async () => {
    deadly += await poison(connection)
  })
  await keepPromises(t, it, { faults, messages: long ? 2000 : 600, injected: () => deadly })
  const { streams } = await managerOf(connection)
  const reasons = new Map<string, number>()
  await until(
    async () => {
      const { state } = await streams.info('MAIL_DEAD', { subjects_filter: 'mail.dead.v1.*.contract.>' })
      reasons.clear()
      for (const [subject, count] of Object.entries(state.subjects ?? {})) {
        const [, , , stream] = subject.split('.')
        reasons.set(stream ?? '', (reasons.get(stream ?? '') ?? 0) + count)
      }
      return ['MAIL_ACCEPTED', 'MAIL_LOCAL', 'MAIL_OUT_0', 'MAIL_STATUS'].every((stream) => reasons.has(stream))
    },
    BURIED_MS,
    () => `in MAIL_DEAD: ${[...reasons].join(' ')}`,
  )
  t.diagnostic(`in MAIL_DEAD: ${[...reasons].map(([stream, count]) => `${count} of ${stream}`).join(', ')}`)
  // What it was is kept whole.
  const { state } = await streams.info('MAIL_DEAD', { subjects_filter: 'mail.dead.v1.MAIL_OUT_0.contract.>' })
  const [subject] = Object.keys(state.subjects ?? {})
  const message = await streams.getMessage('MAIL_DEAD', { last_by_subj: subject ?? '' })
  const { payload, reason } = MailDead.schema.parse(message?.json())
  assert.equal(reason, 'contract')
  assert.ok(POISONS.includes(Buffer.from(payload, 'base64').toString()))
})
