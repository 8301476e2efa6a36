/** `postbus books` on a real bus, with a custody that says what the test wants. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { connectBus } from '@postbus/bus'
import { balanceBooks, type BooksBalance } from '@postbus/contracts'
import { startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'

import { postbus } from '../src/cli/postbus.ts'

const balance: BooksBalance = {
  since: '2026-01-05T10:00:00.000Z',
  ...{ accepted: 120, added: 8, merged: 1, delivered: 100, relayed: 11, discarded: 2, cancelled: 1 },
  failed: { total: 4, reported: 2, reportPending: 1, unreported: [{ reason: 'NOTIFY=NEVER', recipients: 1 }] },
  pending: { notYetRouted: 3, queued: 4, held: 1, dead: 1 },
  differences: { originals: 0, recipients: 0, merged: 0 },
}

async function calling(t: TestContext, answer: BooksBalance) {
  const data = mkdtempSync(join(tmpdir(), 'postbus-books-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const nats = await startNatsServer(t)
  const operatorNkeyFile = join(data, 'operator.nk')
  writeFileSync(operatorNkeyFile, nats.seeds.operator)
  const log = pino({ level: 'silent' })
  const custody = await connectBus({ servers: nats.url, nkeySeed: nats.seeds.custody, party: 'custody', log })
  nats.defer(() => custody.close())
  await custody.answer(balanceBooks, async () => answer)
  return async (...argv: string[]) => {
    const written = { out: '', err: '' }
    const status = await postbus(['books', ...argv], {
      env: { NATS_URL: nats.url, NATS_NKEY_FILE: operatorNkeyFile, USER: 'ann' },
      stdout: { write: (chunk) => (written.out += chunk) },
      stderr: { write: (chunk) => (written.err += chunk) },
    })
    return { status, ...written }
  }
}

test('books that balance are shown with both sides, and the exit status is 0', async (t) => {
  const call = await calling(t, balance)
  const { status, out } = await call()
  assert.equal(status, 0)
  assert.match(out, /^accepted +120$/m)
  assert.match(out, /^= to account for +127$/m)
  assert.match(out, /^failed +4 +2 reported, 1 report pending, 1 no report: NOTIFY=NEVER$/m)
  assert.match(out, /^pending: not yet routed +3$/m)
  assert.match(out, /^= accounted for +127$/m)
  assert.match(out, /^balanced; everything in the history, accepted since 2026-01-05T10:00:00\.000Z$/m)
  assert.deepEqual(JSON.parse((await call('--json')).out), balance)
})

test('books that do not balance say by how much, and the exit status is 1', async (t) => {
  const call = await calling(t, { ...balance, delivered: 99, differences: { originals: -2, recipients: 1, merged: 0 } })
  const { status, out } = await call()
  assert.equal(status, 1)
  assert.match(out, /^= to account for +127$/m)
  assert.match(out, /^= accounted for +126$/m)
  assert.match(out, /^NOT BALANCED: originals: 2 too many, recipients: 1 missing; /m)
  assert.equal((await call('--json')).status, 1)
})
