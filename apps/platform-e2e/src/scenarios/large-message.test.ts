/** A message of 40 MiB goes in by submission and out by IMAP, POP3 and SEARCH: no process ever holds it whole. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { piped, byCurl } from '../sending.ts'
import { directory } from '../directories.ts'
import { imapClientOf } from '../mailboxes.ts'
import { startPlatform, until, type Ready } from '../platform.ts'
import type { Account } from '../postbus.ts'
import { base64Lines } from '../samples.ts'

const MIB = 1024 * 1024
const SIZE = 40 * MIB
/** What comes first: caches, buffers and heaps are then about as large as they will be. */
const WARM_UP = 16 * MIB
/** A process that held the message twice, as strings or on its way, would grow by more. */
const ALLOWED_GROWTH = 2 * (SIZE - WARM_UP)
const NEEDLE = 'needle-at-the-end'

/** The most memory each process ever held (VmHWM). */
async function peaks({ pids }: Ready): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const [name, pid] of Object.entries(pids)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    found.set(name, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024)
  }
  return found
}

function message(name: string, size: number): Buffer {
  const head =
    `From: smith@example.org\r\nTo: jones@example.org\r\nSubject: ${name}\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\n` +
    `Message-ID: <${name}@large.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n`
  const body = base64Lines(randomBytes(Math.floor(size * 0.73)))
  return Buffer.concat([Buffer.from(head), Buffer.from(body), Buffer.from(`${NEEDLE} ${name}\r\n`)])
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Through every door, the way out included. */
async function journey(
  ready: Ready,
  from: Account,
  to: Account,
  name: string,
  bytes: Buffer,
  dir: string,
): Promise<void> {
  await byCurl(ready, { from, to: [to.address], bytes })
  const client = await imapClientOf(ready, to)
  await client.mailboxOpen('INBOX')
  let uids: number[] = []
  await until(
    async () => {
      uids = (await client.search({ subject: name }, { uid: true })) || []
      return uids.length === 1
    },
    60_000,
    () => `${name} did not arrive`,
  )
  assert.deepEqual(await client.search({ body: `${NEEDLE} ${name}` }, { uid: true }), uids)
  await client.logout()

  const login = ['-sS', '--cacert', ready.ca, '-u', `${to.address}:${to.password}`]
  const imap = join(dir, `${name}.imap`)
  await piped(
    'curl',
    [...login, `imaps://localhost:${ready.ports['imaps']}/INBOX;UID=${uids[0]}`, '-o', imap],
    Buffer.alloc(0),
  )
  const pop3 = join(dir, `${name}.pop3`)
  const number = name === 'warm-up' ? 1 : 2
  await piped('curl', [...login, `pop3s://localhost:${ready.ports['pop3s']}/${number}`, '-o', pop3], Buffer.alloc(0))
  for (const file of [imap, pop3]) {
    const fetched = await readFile(file)
    assert.equal(digest(fetched.subarray(fetched.length - bytes.length)), digest(bytes), file)
  }
}

test('40 MiB through submission, FETCH, RETR and SEARCH BODY: no process comes to hold it twice', async (t) => {
  // One of each, in a process of its own: both messages come by the same.
  const platform = await startPlatform(t, {
    args: ['--processes', '--replicas', 'submission=1,mailstore=1,imap=1,pop3=1'],
  })
  const ready = platform.ready()
  const [from, to] = ready.accounts
  assert.ok(from && to)
  const dir = await directory()
  await journey(ready, from, to, 'warm-up', message('warm-up', WARM_UP), dir)
  const before = await peaks(ready)
  await journey(ready, from, to, 'large', message('large', SIZE), dir)
  const after = await peaks(ready)
  const growth = [...after].map(([name, peak]): [string, number] => [name, peak - (before.get(name) ?? 0)])
  t.diagnostic(
    growth
      .map(([name, bytes]) => `${name} ${Math.round((before.get(name) ?? 0) / MIB)} + ${(bytes / MIB).toFixed(1)}`)
      .join(', '),
  )
  assert.deepEqual(platform.ready().pids, ready.pids, 'a process was replaced')
  assert.deepEqual(
    growth.filter(([, bytes]) => bytes > ALLOWED_GROWTH),
    [],
  )
})
