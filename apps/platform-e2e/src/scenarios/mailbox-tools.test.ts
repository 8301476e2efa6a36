/**
 * `postbus mailbox` on a running platform: mail goes out and in again in every form, byte for byte, with flags, dates and names;
 * what was expunged comes back; an account is checked.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { directory, maildir } from '../directories.ts'
import { imapClientOf } from '../mailboxes.ts'
import { startPlatform, type Ready } from '../platform.ts'
import { addAccounts, postbus, postbusStatus, type Account } from '../postbus.ts'
import { samples } from '../samples.ts'
import { piped } from '../sending.ts'

const run = promisify(execFile)
const sent = samples()
const command = join(import.meta.dirname, '..', '..', '..', 'console', 'bin', 'postbus.mjs')

/** By mailbox: name of the sample, flags, date and octets of every message, in their order. */
type Content = Record<string, { name: string; flags: string[]; date: string; bytes: Buffer }[]>

async function contentOf(ready: Ready, account: Account): Promise<Content> {
  const client = await imapClientOf(ready, account)
  const content: Content = {}
  try {
    for (const { path } of await client.list()) {
      const { exists } = await client.mailboxOpen(path, { readOnly: true })
      const messages: Content[string] = (content[path] = [])
      if (exists === 0) continue
      for await (const { source, flags, internalDate } of client.fetch('1:*', {
        source: true,
        flags: true,
        internalDate: true,
      })) {
        const bytes = source ?? assert.fail('no bytes')
        messages.push({
          name: /sample (\S+)/.exec(bytes.toString('latin1'))?.[1] ?? '',
          flags: [...(flags ?? [])].filter((flag) => flag !== '\\Recent').toSorted(),
          date: new Date(internalDate ?? 0).toISOString(),
          bytes,
        })
      }
    }
  } finally {
    await client.logout()
  }
  return content
}

/** Without mailboxes that have nothing in them. */
const filled = (content: Content): Content =>
  Object.fromEntries(Object.entries(content).filter(([, messages]) => messages.length > 0))

interface Imported {
  mailboxes: { from: string; to: string; messages: number; taken: number }[]
  failed: unknown[]
}
const countOf = (mailboxes: readonly { messages: number }[]): number =>
  mailboxes.reduce((sum, { messages }) => sum + messages, 0)

test('mail goes out and in, comes back and is checked', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const accounts = await addAccounts(ready, ['owner', 'maildir', 'mbox', 'pulled'])
  const { owner } = accounts
  const places = ['INBOX', 'Work/v1.2', 'Grüße & more']
  const flags = [['\\Seen'], [], ['\\Flagged', '$Work'], ['\\Answered', '\\Draft', 'Later']]
  const client = await imapClientOf(ready, owner)
  for (const place of places.slice(1)) await client.mailboxCreate(place)
  for (const [index, { bytes }] of sent.entries()) {
    const date = new Date(Date.UTC(2020, index, 2, 3, 4, 5))
    await client.append(places[index % places.length] ?? '', bytes, flags[index % flags.length], date)
  }
  await client.logout()
  const mail = await contentOf(ready, owner)
  assert.equal(Object.values(mail).flat().length, sent.length)

  await t.test('through a Maildir, each once however often it is called', async () => {
    const dir = await directory()
    const exported = async () =>
      countOf(
        (await postbus<{ mailboxes: { messages: number }[] }>(ready, 'mailbox', 'export', owner.address, dir, '--crlf'))
          .mailboxes,
      )
    assert.equal(await exported(), sent.length)
    assert.equal(await exported(), 0)
    const inbox = (await maildir(dir)).map(({ bytes }) => bytes.toString('latin1')).toSorted()
    assert.deepEqual(inbox, mail['INBOX']?.map(({ bytes }) => bytes.toString('latin1')).toSorted())

    const journal = join(await directory(), 'journal')
    const taking = (...more: string[]) =>
      postbus<Imported>(ready, 'mailbox', 'import', accounts.maildir.address, dir, '--journal', journal, ...more)
    assert.equal(countOf((await taking('--dry-run')).mailboxes), sent.length)
    assert.deepEqual(filled(await contentOf(ready, accounts.maildir)), {})
    assert.deepEqual((await taking()).failed, [])
    assert.equal(countOf((await taking()).mailboxes), 0)
    assert.deepEqual(filled(await contentOf(ready, accounts.maildir)), filled(mail))
  })

  await t.test('through mbox files, below another mailbox', async () => {
    const dir = await directory()
    await postbus(ready, 'mailbox', 'export', owner.address, dir, '--format', 'mbox')
    assert.ok((await readdir(dir)).includes('INBOX.mbox'))
    const to = ['import', accounts.mbox.address, dir, '--format', 'mbox', '--into', 'Old', '--journal', join(dir, '.j')]
    assert.deepEqual((await postbus<Imported>(ready, 'mailbox', ...to)).failed, [])
    const below = Object.entries(mail).map(([name, messages]) => [name === 'INBOX' ? 'Old' : `Old/${name}`, messages])
    assert.deepEqual(filled(await contentOf(ready, accounts.mbox)), filled(Object.fromEntries(below) as Content))
  })

  await t.test('pulled from another IMAP server, only what is new the second time', async () => {
    const journal = join(await directory(), 'journal')
    const url = `imaps://${owner.address}@localhost:${ready.ports['imaps']}`
    const args = ['mailbox', 'import', accounts.pulled.address, url, '--ca', ready.ca, '--journal', journal]
    const pull = async (): Promise<Imported> =>
      JSON.parse(
        await piped(
          process.execPath,
          [command, ...args, '--password-stdin', '--data', ready.data, '--json'],
          Buffer.from(`${owner.password}\n`),
        ),
      ) as Imported // As the command says.
    assert.deepEqual((await pull()).failed, [])
    assert.deepEqual(filled(await contentOf(ready, accounts.pulled)), filled(mail))
    assert.equal(countOf((await pull()).mailboxes), 0)
  })

  await t.test('what IMAP, POP3 and the deletion of a mailbox took comes back', async () => {
    const { address, password } = owner
    const client = await imapClientOf(ready, owner)
    await client.mailboxOpen('Work/v1.2')
    await client.messageDelete('1')
    await client.mailboxClose()
    await client.mailboxDelete('Grüße & more')
    await client.logout()
    const login = ['-sS', '--cacert', ready.ca, '-u', `${address}:${password}`]
    await run('curl', [...login, `pop3s://localhost:${ready.ports['pop3s']}/1`, '-X', 'DELE', '-I'])
    const gone = Object.values(await contentOf(ready, owner)).flat().length
    assert.ok(gone < sent.length)

    const kept = await postbus<{ mailbox: string; subject: string }[]>(
      ready,
      'mailbox',
      'undelete',
      address,
      '--dry-run',
      '--since',
      '1h',
    )
    assert.equal(kept.length, sent.length - gone)
    assert.ok(kept.every(({ subject }) => subject.startsWith('sample ')))
    assert.deepEqual(await postbus(ready, 'mailbox', 'undelete', address, '--mailbox', 'Work/v1.2'), { restored: 1 })
    assert.deepEqual(await postbus(ready, 'mailbox', 'undelete', address, '--all'), { restored: kept.length - 1 })
    const back = filled(await contentOf(ready, owner))
    const sorted = (content: Content) =>
      Object.entries(content).map(([name, messages]) => [
        name,
        messages
          .map((message) => ({ ...message, flags: message.flags.filter((flag) => flag !== '\\Deleted') }))
          .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      ])
    assert.deepEqual(sorted(back).toSorted(), sorted(filled(mail)).toSorted())
  })

  await t.test('fsck finds nothing, and list says what is there', async () => {
    const { value, status } = await postbusStatus<{ messages: number; faults: unknown[] }>(
      ready,
      'mailbox',
      'fsck',
      owner.address,
    )
    assert.deepEqual([value, status], [{ messages: sent.length, faults: [] }, 0])
    const { mailboxes, quota } = await postbus<{
      mailboxes: { name: string; messages: number }[]
      quota: { messages: number }
    }>(ready, 'mailbox', 'list', owner.address)
    assert.equal(countOf(mailboxes), sent.length)
    assert.equal(quota.messages, sent.length)
  })
})
