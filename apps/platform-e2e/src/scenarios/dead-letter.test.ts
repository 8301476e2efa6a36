/**
 * Tasks whose spool record is damaged are set aside and shown; doctor says so; after the repair one is driven once more and arrives,
 * once. The other is dropped, and its sender is told.
 */
import assert from 'node:assert/strict'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { messages } from '../mailboxes.ts'
import { isEmbeddedOnly, startPlatform, until, type Ready } from '../platform.ts'
import { postbus, postbusStatus } from '../postbus.ts'
import { withCrlf } from '../samples.ts'
import { byNodemailer } from '../sending.ts'
import { settingsUnderLoad } from '../under-load.ts'

interface Letter {
  id: string
  forwardPath?: string
  state?: string
  copies: { reason: string; detail: string }[]
}

interface Finding {
  check: string
  level: string
  found: string
}

const of = (findings: Finding[], check: string): string[] =>
  findings.filter((finding) => finding.check === check).map(({ level, found }) => `${level}: ${found}`)

async function doctor(ready: Ready): Promise<Finding[]> {
  const { value, status } = await postbusStatus<Finding[]>(ready, 'doctor', '--no-network')
  assert.equal(status, 1, 'the platform’s own authority is a warning')
  assert.deepEqual(
    value.filter(({ level }) => level === 'error'),
    [],
  )
  return value
}

/** In place: their writers have the files open. */
async function overwrite({ data }: Ready, from: string, to: string): Promise<void> {
  const segments = join(data, 'spool', 'segments')
  for (const name of await readdir(segments)) {
    const path = join(segments, name)
    const bytes = await readFile(path)
    const file = await open(path, 'r+')
    for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) await file.write(to, at)
    await file.close()
  }
}

test('dead letters: shown, repaired and driven again, or dropped', async (t) => {
  if (isEmbeddedOnly(t, 'spoils segments of the local spool')) return
  const platform = await startPlatform(t, { args: ['--processes', ...settingsUnderLoad({})] })
  const ready = platform.ready()
  const [smith, jones, brown] = ready.accounts
  assert.ok(smith && jones && brown)
  const healthy = await doctor(ready)
  assert.deepEqual(
    ['dead letters', 'lanes', 'books', 'streams', 'ports', 'spool'].map(
      (check) => of(healthy, check)[0]?.split(':')[0],
    ),
    ['ok', 'ok', 'ok', 'ok', 'ok', 'ok'],
  )

  const mailstore = ready.pids['mailstore'] ?? assert.fail('no mailstore')
  process.kill(mailstore, 'SIGSTOP')
  try {
    const bytes = withCrlf(Buffer.from(`From: ${smith.address}\nSubject: to be set aside\n\nHello.\n`))
    for (const { address } of [jones, brown]) await byNodemailer(ready, { from: smith, to: [address], bytes })
    // The router has read them when their tasks wait for the mailstore.
    await until(
      async () => {
        const { value } = await postbusStatus<Finding[]>(ready, 'doctor', '--no-network')
        const [, waiting, inHand] = /(\d+) waiting, (\d+) in hand/.exec(of(value, 'MAIL_LOCAL readers')[0] ?? '') ?? []
        return Number(waiting) + Number(inHand) === 2
      },
      60_000,
      () => platform.output(),
    )
    await overwrite(ready, 'Hello.', 'Jello.')
  } finally {
    process.kill(mailstore, 'SIGCONT')
  }
  let letters: Letter[] = []
  const dead = async () => {
    letters = await postbus<Letter[]>(ready, 'dead', 'list')
    return letters.filter(({ state }) => state === 'dead').length === 2
  }
  await until(dead, 60_000, () => `${JSON.stringify(letters)}\n${platform.output()}`)
  assert.deepEqual(
    letters[0]?.copies.map(({ reason, detail }) => [reason, detail]),
    [['rejected', 'the spool record is damaged']],
  )
  assert.deepEqual(of(await doctor(ready), 'dead letters'), ['warning: 2 waiting'])

  await overwrite(ready, 'Jello.', 'Hello.')
  const [toJones, toBrown] = [jones, brown].map(({ address }) =>
    letters.find(({ forwardPath }) => forwardPath === address),
  )
  assert.ok(toJones && toBrown)
  await postbus(ready, 'dead', 'retry', toJones.id)
  await postbus(ready, 'dead', 'drop', toBrown.id, '--report')
  assert.equal((await messages(ready, jones, 1)).length, 1)
  const [report] = await messages(ready, smith, 1)
  assert.match(report?.toString() ?? '', /Given up by the postmaster/)
  assert.deepEqual(await messages(ready, brown, 0), [])
  assert.deepEqual(await postbus(ready, 'dead', 'list'), [])
  assert.deepEqual(of(await doctor(ready), 'dead letters'), ['ok: none'])
})
