/** `postbus dead` on a real bus, with books that say what the test wants. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { connectBus, RequestRefused } from '@postbus/bus'
import { actOnDead, type DeadLetter, listDead, QueueId, recipientKey, showDead } from '@postbus/contracts'
import { startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import type { z } from 'zod'

import { postbus } from '../src/cli/postbus.ts'

const queueId = QueueId.parse('01J9ZK3V8Q6X4T2M7N5R100001')
const n = recipientKey('jones@example.org', 'jones@example.org')
const copy: DeadLetter['copies'][number] = {
  ...{ stream: 'MAIL_LOCAL', sequence: 7, reason: 'rejected', detail: 'there is no\nspool record' },
  ...{ subject: `mail.local.v1.${queueId}.${n}`, at: '2026-01-05T10:00:00Z' },
}
const known: DeadLetter = {
  ...{ id: `${queueId}.${n}`, queueId, n, reversePath: '', forwardPath: 'jones@example.org', state: 'dead' },
  copies: [copy],
}
const poison: DeadLetter = { id: `${'a'.repeat(26)}.${'b'.repeat(16)}`, copies: [copy, { ...copy, reason: 'crash' }] }
const lost: DeadLetter = { ...known, id: `${queueId}.${'0'.repeat(16)}`, copies: [] }

async function platform(t: TestContext, letters: DeadLetter[]) {
  const data = mkdtempSync(join(tmpdir(), 'postbus-dead-'))
  const nats = await startNatsServer(t)
  writeFileSync(join(data, 'operator.nk'), nats.seeds.operator)
  writeFileSync(
    join(data, 'postbus.json'),
    JSON.stringify({ natsUrl: nats.url, operatorNkeyFile: join(data, 'operator.nk') }),
  )
  const log = pino({ level: 'silent' })
  const custody = await connectBus({ servers: nats.url, nkeySeed: nats.seeds.custody, party: 'custody', log })
  nats.defer(async () => {
    await custody.close()
    rmSync(data, { recursive: true, force: true })
  })
  const asked: z.output<typeof actOnDead.input>[] = []
  await custody.answerRows(listDead, async function* ({ limit }) {
    for (const row of letters.slice(0, limit)) yield { row }
  })
  await custody.answer(showDead, async ({ id }) => {
    const letter = letters.find((one) => one.id === id)
    if (!letter) throw new RequestRefused('noSuchLetter', 'nothing of this name is dead')
    return {
      letter,
      contents: letter.copies.map(() => ({ headers: { 'Nats-Msg-Id': ['x'] }, payload: '{"a":"\u0007"}' })),
    }
  })
  await custody.answer(actOnDead, async (input) => {
    asked.push(input)
    return { results: input.ids.map((id) => (id === poison.id && input.act.kind === 'retry' ? 'unreadable' : 'done')) }
  })
  async function call(...args: string[]) {
    const said = { status: 0, stdout: '', stderr: '' }
    const write = (stream: 'stdout' | 'stderr') => ({ write: (text: string) => (said[stream] += text) })
    const around = { env: { USER: 'smith' }, stdout: write('stdout'), stderr: write('stderr') }
    said.status = await postbus(['dead', ...args, '--data', data], around)
    return said
  }
  return { asked, call }
}

test('dead letters are listed and shown, and a terminal is not obeyed', async (t) => {
  const { call } = await platform(t, [known, poison, lost])
  const { status, stdout } = await call('list')
  assert.equal(status, 0)
  const [, first = '', , last = ''] = stdout.split('\n')
  assert.match(first, /jones@example\.org +dead +MAIL_LOCAL +rejected +2026-01-05T10:00:00Z +there is no$/)
  assert.match(last, /dead +– +lost by the bus/)
  assert.equal((await call('list', '--limit', '1', '--json')).stdout.match(/"id"/g)?.length, 1)
  const shown = await call('show', poison.id)
  assert.match(shown.stdout, /reason +rejected[^]*reason +crash[^]*Nats-Msg-Id: x[^]*\{"a":"\?"\}/)
  assert.equal((await call('show', `${queueId}.ffff`)).status, 1)
  assert.equal((await call('list', '--limit', 'many')).status, 2)
})

test('one by its id, all of a message by its queue id, all by saying so; what could not be done is exit status 1', async (t) => {
  const { asked, call } = await platform(t, [known, poison, lost])
  assert.equal((await call('retry', known.id)).status, 0)
  assert.equal((await call('drop', queueId.toLowerCase(), '--report')).status, 0)
  const all = await call('retry', '--all')
  assert.equal(all.status, 1)
  assert.match(all.stdout, /cannot be made again/)
  assert.deepEqual(
    asked.map(({ act, by, ids }) => [act, by, ids.length]),
    [
      [{ kind: 'retry' }, 'postbus smith', 1],
      [{ kind: 'drop', report: true }, 'postbus smith', 2],
      [{ kind: 'retry' }, 'postbus smith', 3],
    ],
  )
  for (const wrong of [['retry'], ['drop', known.id, '--all'], ['drop', 'nonsense'], ['show']]) {
    assert.equal((await call(...wrong)).status, 2, wrong.join(' '))
  }
  assert.equal(asked.length, 3)
})
