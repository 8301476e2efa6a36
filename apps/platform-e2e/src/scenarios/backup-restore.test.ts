/**
 * A backup taken under load is restored elsewhere and started there: everything promised before it began is in a mailbox or goes on
 * its way, nothing stands twice, and what had gone out is not sent again.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { startSmtpSink } from '@postbus/testkit'

import { directory } from '../directories.ts'
import { imapClient, loadIds } from '../mailboxes.ts'
import { startPlatform, until } from '../platform.ts'
import { postbus } from '../postbus.ts'
import { long, settingsUnderLoad, startLoad, sunkIds } from '../under-load.ts'

const MESSAGES = long ? 4000 : 900
const SETTLE_MS = 60_000

/** What a client keeps to recognise a mailbox: RFC 9051 §2.3.1.1. */
async function uidValidity(ready: Parameters<typeof imapClient>[0], address: string): Promise<bigint> {
  const client = await imapClient(ready, address)
  try {
    return (await client.mailboxOpen('INBOX', { readOnly: true })).uidValidity
  } finally {
    await client.logout()
  }
}

test('a backup under load, restored elsewhere, keeps every promise made before it', async (t) => {
  const sink = await startSmtpSink(t)
  const settings = settingsUnderLoad({ DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}` })
  const first = await startPlatform(t, { args: ['--processes', ...settings] })
  const over = new AbortController()
  t.after(() => over.abort())
  const load = startLoad(first, MESSAGES, over.signal)
  const half = (): boolean => load.accepted() > MESSAGES / 2
  await until(half, SETTLE_MS, () => `${load.accepted()} of ${MESSAGES} accepted\n${first.output()}`)
  // Mail for elsewhere waits from now on. What had gone out some messages ago is not cut in the middle.
  const gone = new Set(sunkIds(sink).keys())
  await sink.received(sink.messages.length + 20)
  await sink.close()
  const acceptedBefore = load.accepted()
  const queued = () => load.accepted() > acceptedBefore + MESSAGES / 10
  await until(queued, SETTLE_MS, () => `${load.accepted()} accepted\n${first.output()}`)
  const promised = await load.promised()

  const [place, elsewhere] = [join(await directory(t), 'backup'), join(await directory(t), 'data')]
  const startedAt = Date.now()
  const backup = await postbus<{ files: number; bytes: number }>(first.ready(), 'backup', place)
  const tookMs = Date.now() - startedAt
  const acceptedMeanwhile = load.accepted() - promised.size
  over.abort()
  await load.done
  const [reader] = first.ready().accounts
  assert.ok(reader)
  const validity = await uidValidity(first.ready(), reader.address)
  const { accounts } = first.ready()
  await assert.rejects(postbus(first.ready(), 'restore', place, '--force'), /is in use by process/)
  await first.stop()

  const verified = await postbus<{ problems: string[] }>({ data: elsewhere }, 'backup', place, '--verify')
  assert.deepEqual(verified.problems, [])
  await postbus({ data: elsewhere }, 'restore', place)
  await sink.reopen()
  const second = await startPlatform(t, { data: elsewhere, args: ['--processes', ...settings] })
  assert.deepEqual(second.ready().accounts, accounts)
  const isRemote = (id: string): boolean => promised.get(id)?.endsWith('@far.test') === true
  let found = new Map<string, number>()
  let missing: string[] = []
  await until(
    async () => {
      found = await loadIds(second.ready())
      const relayed = sunkIds(sink)
      missing = [...promised.keys()].filter((id) => !(isRemote(id) ? relayed : found).has(id))
      return missing.length === 0
    },
    SETTLE_MS,
    () => `missing: ${missing.slice(0, 20).join(' ')} (${missing.length})\n${second.output()}`,
  )
  const sunk = sunkIds(sink)
  assert.deepEqual(
    [...found].filter(([, count]) => count > 1),
    [],
  )
  assert.deepEqual(
    [...gone].filter((id) => sunk.get(id) !== 1),
    [],
    'sent before the backup, and again after the restore',
  )
  assert.ok((await uidValidity(second.ready(), reader.address)) > validity)
  const late = [...promised.keys()].filter((id) => isRemote(id) && !gone.has(id)).length
  t.diagnostic(
    `${backup.files} files, ${backup.bytes} octets in ${tookMs} ms; promised before ${promised.size}, accepted meanwhile ${acceptedMeanwhile}; ` +
      `after the restore missing 0, twice in a mailbox 0; relayed before ${gone.size}, after ${late}, twice ${[...sunk.values()].filter((count) => count > 1).length}`,
  )
})
