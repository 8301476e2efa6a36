/**
 * A backup taken under load is restored elsewhere and started there: everything promised before it began is in a mailbox or goes on
 * its way, nothing stands twice, and what had gone out is not sent again.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { startSmtpSink } from '@postbus/testkit'

import { directory } from '../directories.ts'
import { imapClient, loadIds } from '../mailboxes.ts'
import { isEmbeddedOnly, startPlatform, until, type Ready } from '../platform.ts'
import { postbus } from '../postbus.ts'
import { withCrlf } from '../samples.ts'
import { byNodemailer } from '../sending.ts'
import { long, settingsUnderLoad, startLoad, sunkIds } from '../under-load.ts'

const run = promisify(execFile)
const start = join(import.meta.dirname, '..', '..', '..', '..', 'tools', 'start', 'main.ts')
const MESSAGES = long ? 4000 : 900
const SETTLE_MS = 240_000

/** What a client keeps to recognise a mailbox: RFC 9051 §2.3.1.1. */
async function uidValidity(ready: Ready, address: string): Promise<bigint> {
  const client = await imapClient(ready, address)
  try {
    return (await client.mailboxOpen('INBOX', { readOnly: true })).uidValidity
  } finally {
    await client.logout()
  }
}

/** One whose octets lie in a blob, and are not in any database. */
const large = withCrlf(
  Buffer.from(`From: smith@example.org\nX-Load-Id: large\n\n${'0123456789abcdef\n'.repeat(30_000)}`),
)

async function readLarge(ready: Ready, address: string): Promise<Buffer> {
  const client = await imapClient(ready, address)
  try {
    await client.mailboxOpen('INBOX', { readOnly: true })
    const found = await client.search({ header: { 'x-load-id': 'large' } })
    const message = found ? await client.fetchOne(String(found[0]), { source: true }) : false
    return message === false ? Buffer.alloc(0) : (message.source ?? Buffer.alloc(0))
  } finally {
    await client.logout()
  }
}

test('a backup under load, restored elsewhere, keeps every promise made before it', async (t) => {
  if (isEmbeddedOnly(t, 'postbus backup copies local files')) return
  const sink = await startSmtpSink(t)
  const settings = settingsUnderLoad({
    DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`,
    // Its only site is away for a while; after the restore it is tried soon.
    DELIVERY_BREAKER_FIRST_MS: '1000',
    DELIVERY_BREAKER_LONGEST_MS: '4000',
    DELIVERY_RETRY_LONGEST_MS: '4000',
  })
  const first = await startPlatform(t, { args: ['--processes', ...settings] })
  const [reader] = first.ready().accounts
  assert.ok(reader)
  await byNodemailer(first.ready(), { from: reader, to: [reader.address], bytes: large })
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

  const [place, elsewhere] = [join(await directory(), 'backup'), join(await directory(), 'data')]
  const startedAt = Date.now()
  const backup = await postbus<{ files: number; bytes: number }>(first.ready(), 'backup', place)
  const tookMs = Date.now() - startedAt
  const acceptedMeanwhile = load.accepted() - promised.size
  over.abort()
  await load.done
  const validity = await uidValidity(first.ready(), reader.address)
  const whole = await readLarge(first.ready(), reader.address)
  assert.ok(whole.length > large.length)
  const { accounts } = first.ready()
  await assert.rejects(postbus(first.ready(), 'restore', place, '--force'), /is in use by process/)
  await first.stop()

  const verified = await postbus<{ problems: string[] }>({ data: elsewhere }, 'backup', place, '--verify')
  assert.deepEqual(verified.problems, [])
  await mkdir(join(elsewhere, 'restoring'), { recursive: true })
  const unfinished = run(process.execPath, [start, '--data', elsewhere], { timeout: 60_000 })
  await assert.rejects(unfinished, { code: 69, stderr: /a restore that was not finished/ })
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
  assert.deepEqual(await readLarge(second.ready(), reader.address), whole)
  assert.ok((await uidValidity(second.ready(), reader.address)) > validity)
  const late = [...promised.keys()].filter((id) => isRemote(id) && !gone.has(id)).length
  t.diagnostic(
    `${backup.files} files, ${backup.bytes} octets in ${tookMs} ms; promised before ${promised.size}, accepted meanwhile ${acceptedMeanwhile}; ` +
      `after the restore missing 0, twice in a mailbox 0; relayed before ${gone.size}, after ${late}, twice ${[...sunk.values()].filter((count) => count > 1).length}`,
  )
})
