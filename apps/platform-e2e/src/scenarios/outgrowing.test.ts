/**
 * A platform outgrows its machine: mailboxes, directory, books, spool and bytes move into PostgreSQL, and a cluster goes on where it
 * stopped. Mail clients find their mailboxes as they were, UIDs and all; what waited in the queue waits there.
 */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { startPostgres, startSmtpSink } from '@postbus/testkit'

import { inTheBooks } from '../books.ts'
import { directory } from '../directories.ts'
import { imapClientOf, messages } from '../mailboxes.ts'
import { takenBy } from '../outbound.ts'
import { type Platform, type Ready, startPlatform, until } from '../platform.ts'
import { type Account, addAccounts, postbus, postbusStatus } from '../postbus.ts'
import { submit } from '../sending.ts'
import { metric } from '../under-load.ts'

const DAY_MS = 86_400_000
/** Nobody answers there: what is for elsewhere waits, until a rule says where it goes. */
const SETTINGS = {
  DNS_SERVERS: '127.0.0.1:9',
  DNS_TIMEOUT_MS: '200',
  DELIVERY_ALLOW_PRIVATE: 'true',
  DELIVERY_RETRY_FIRST_MS: String(DAY_MS),
  DELIVERY_RETRY_LONGEST_MS: String(DAY_MS),
  CUSTODY_RECONCILE_MS: '500',
  CUSTODY_SCAN_MS: '1000',
  CUSTODY_CHECK_GAP_MS: '1000',
}
const LARGE = 'a line of a message that is stored beside the database\r\n'.repeat(20_000)
const LONG_MS = 180_000

interface Moved {
  blobs: number
  records: number
}

async function inbox(ready: Ready, account: Account) {
  const client = await imapClientOf(ready, account)
  try {
    const { uidValidity } = await client.mailboxOpen('INBOX')
    const all = await client.fetchAll('1:*', { uid: true, flags: true, source: true })
    const flagsOf = (flags: Iterable<string> = []) => [...flags].filter((flag) => flag !== '\\Recent').toSorted()
    return {
      uidValidity,
      found: all.map(({ uid, flags, source }) => [uid, flagsOf(flags), source?.toString('latin1')]),
    }
  } finally {
    await client.logout()
  }
}

const deferred = (platform: Platform, queueId: string): Promise<void> =>
  until(
    async () => (await inTheBooks(platform.ready(), queueId))?.recipients[0]?.state === 'deferred',
    LONG_MS,
    () => `${queueId} is not deferred:\n${platform.output()}`,
  )

test('mailboxes stay as they were, passwords work, and what waited in the queue goes out', async (t) => {
  const postgres = await startPostgres(t)
  const sink = await startSmtpSink(t, { name: 'mx.far.test', host: '127.0.0.1' })
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const old = join(await directory(), 'data')
  const embedded = await startPlatform(t, { profile: 'embedded', data: old, args: settings })
  const ready = embedded.ready()
  const { green } = await addAccounts(ready, ['green'])
  await submit(ready, green, [green.address])
  await submit(ready, green, [green.address], { text: LARGE })
  assert.equal((await messages(ready, green, 2)).length, 2)
  const waiting = await submit(ready, green, ['ann@far.test'])
  await deferred(embedded, waiting)
  const client = await imapClientOf(ready, green)
  await client.mailboxOpen('INBOX')
  await client.messageFlagsAdd('1', ['\\Flagged'])
  await client.logout()
  const before = await inbox(ready, green)
  await until(
    async () => (await metric(embedded, 'custody', 'mail_custody_freed_records_total')) === 2,
    LONG_MS,
    () => `records of what was delivered are not freed:\n${embedded.output()}`,
  )
  await embedded.stop()

  const data = join(await directory(), 'data')
  const args = ['--postgres', postgres.url, '--bytes', 'postgres', '--without-demo', ...settings]
  const start = () => startPlatform(t, { profile: 'scale-out', data, args })
  // The first start makes the tables; then it stands still while they are filled.
  await (await start()).stop()
  const target = join(data, 'target.env')
  const names = ['DIRECTORY_DATABASE', 'MAILSTORE_DATABASE', 'CUSTODY_DATABASE', 'DELIVERY_DATABASE', 'SPOOL', 'BLOBS']
  await writeFile(target, names.map((name) => `${name}=${postgres.url}\n`).join(''))
  const move = ['migrate', 'cluster', '--env-file', target]
  const { blobs, records } = await postbus<Moved>(ready, ...move)
  assert.deepEqual({ blobs, records }, { blobs: 1, records: 1 })
  await assert.rejects(postbus(ready, ...move), /is not empty/)
  await rm(old, { recursive: true })

  const cluster = await start()
  const now = cluster.ready()
  assert.deepEqual(await inbox(now, green), before)
  await submit(now, green, [green.address])
  assert.equal((await messages(now, green, 3)).length, 3)

  await t.test(
    'the recipient that waited waits, a day as before, and goes where a new rule says when it is told to',
    async () => {
      await deferred(cluster, waiting)
      assert.deepEqual(takenBy(sink), [])
      const smarthost = `127.0.0.1:${sink.port}`
      await postbus(now, 'transport', 'add', 'far', 'far.test', '--smarthost', smarthost, '--tls', 'none')
      let answered: unknown
      await until(
        async () => {
          answered = (await postbusStatus(now, 'queue', 'retry', waiting)).value
          return takenBy(sink).length > 0
        },
        LONG_MS,
        () => `nothing came to the next hop: ${JSON.stringify(answered)}\n${cluster.output()}`,
      )
      assert.deepEqual(takenBy(sink), ['ann@far.test'])
    },
  )
})
