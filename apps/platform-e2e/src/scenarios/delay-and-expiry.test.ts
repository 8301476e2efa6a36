/**
 * Mail nobody takes: tried again and again, the sender hears of the delay, and in the end gets it back. Days are seconds here.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messages } from '../mailboxes.ts'
import { startOutbound, takenBy } from '../outbound.ts'
import { addAccounts } from '../postbus.ts'
import { reportOf, settled } from '../reports.ts'
import { submit } from '../sending.ts'

const ZONE = `
  away.test.   MX 10 one.away.test.
  away.test.   MX 20 two.away.test.
  one.away.test. A 127.0.0.6
  two.away.test. A 127.0.0.7
  full.test.   MX 10 mx.full.test.
  mx.full.test. A 127.0.0.2
`

test('what nobody takes is told of twice: that it waits, and that it is given up', async (t) => {
  const { platform, sinks } = await startOutbound(t, {
    zone: ZONE,
    sinks: { full: { host: '127.0.0.2' } },
    settings: { ROUTER_MAX_QUEUE_TIME: '10', CUSTODY_DELAY_REPORT: '3' },
  })
  const ready = platform.ready()
  const { refused, said, quiet } = await addAccounts(ready, ['refused', 'said', 'quiet'])
  const sent = await Promise.all([
    submit(ready, refused, ['ann@away.test']),
    submit(ready, said, ['full-1@full.test']),
    submit(ready, quiet, ['full-2@full.test'], { dsn: { notify: ['failure'] } }),
  ])
  for (const queueId of sent) assert.equal((await settled(platform, queueId)).recipients[0]?.state, 'expired')
  const reportsOf = async (account: typeof refused, count: number) => {
    const found = await Promise.all((await messages(ready, account, count)).map(reportOf))
    assert.equal(found.length, count)
    return found.map(({ recipients: [recipient] }) => recipient ?? {})
  }

  await t.test('no host can be connected to', async () => {
    const [delayed, failed] = await reportsOf(refused, 2)
    assert.deepEqual([delayed?.['Action'], delayed?.['Status']], ['delayed', '4.4.1'])
    assert.ok(delayed?.['Will-Retry-Until'])
    assert.equal(failed?.['Action'], 'failed')
    assert.match(failed?.['Status'] ?? '', /^4\.4\.7$/)
  })

  await t.test('the peer says every time that the mailbox is full: its words are in the report', async () => {
    const [delayed, failed] = await reportsOf(said, 2)
    for (const recipient of [delayed, failed]) {
      assert.match(recipient?.['Diagnostic-Code'] ?? '', /^smtp; 452 4\.2\.2 mailbox full/)
    }
    assert.ok(sinks.full.commands.filter((line) => line.includes('full-1@full.test')).length > 2)
    assert.deepEqual(takenBy(sinks.full), [])
  })

  await t.test('who asked for failures only hears of no delay', async () => {
    const [failed] = await reportsOf(quiet, 1)
    assert.equal(failed?.['Action'], 'failed')
  })
})
