/** Maildir and mbox, out and in again. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { toCrlf, toLf } from './line-endings.ts'
import type { ExportedMessage, MailSink, MailSource } from './mail.ts'
import { folderOf, mailboxOf } from './maildir-names.ts'
import { maildirSink } from './maildir-sink.ts'
import { maildirSource } from './maildir-source.ts'
import { mboxMessages, mboxQuoted } from './mbox.ts'
import { mboxSink } from './mbox-sink.ts'
import { mboxSource } from './mbox-source.ts'

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-mail-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const textOf = async (octets: AsyncIterable<Uint8Array>): Promise<string> =>
  Buffer.concat(await Array.fromAsync(octets)).toString('latin1')

const SIZES = [1, 2, 3, 7, 1000]

const sample = [
  {
    mailbox: 'INBOX',
    messages: [
      ['\\Seen \\Answered $Forwarded Work', 'Subject: one\r\n\r\nFrom here on\r\n>From quoted\r\n\r\n\r\n'],
      ['', 'Subject: two\r\nStatus-Of-Mind: calm\r\n\r\nFrom a@b Tue Nov 24 03:00:00 2026\r\ncaf\xe9 \r in a line\r\n'],
    ],
  },
  { mailbox: 'Work/v1.2/Grüße', messages: [['\\Flagged \\Draft \\Deleted', 'Subject: three\r\n\r\n']] },
  { mailbox: '..', messages: [['', 'Subject: four\r\n\r\nx\r\n']] },
] as const
const date = new Date('2026-11-24T03:00:00Z')

async function fill(sink: MailSink): Promise<number> {
  let written = 0
  for (const { mailbox, messages } of sample) {
    const open = await sink.open({ name: mailbox, uidValidity: 77 })
    for (const [index, [flags, text]] of messages.entries()) {
      if (open === null || open.has(index + 1)) continue
      const message: ExportedMessage = {
        ...{ uid: index + 1, internalDate: date, size: text.length, octets: pieces(text, 5) },
        flags: flags.split(' ').filter((flag) => flag !== ''),
      }
      assert.deepEqual(await open.write(message), [])
      written++
    }
    await open?.close(true)
  }
  await sink.finish(['INBOX', 'Work/v1.2/Grüße'])
  return written
}

async function contentOf(source: MailSource, isTaken: (key: string) => boolean = () => false) {
  const found = []
  for await (const mailbox of source.mailboxes()) {
    const messages = []
    for await (const { octets, flags, internalDate } of mailbox.messages(isTaken)) {
      assert.deepEqual(internalDate, date)
      messages.push([flags.toSorted().join(' '), await textOf(octets)])
    }
    found.push({ mailbox: mailbox.name, messages })
  }
  return found.toSorted((a, b) => (a.mailbox < b.mailbox ? -1 : 1))
}

const expected = sample
  .map(({ mailbox, messages }) => ({
    mailbox,
    messages: messages.map(([flags, text]) => [flags.split(' ').toSorted().join(' '), text]),
  }))
  .toSorted((a, b) => (a.mailbox < b.mailbox ? -1 : 1))

test('a Maildir gives back what was written: bytes, flags, keywords, dates, names', async (t) => {
  const dir = await directory(t)
  assert.equal(await fill(maildirSink(dir, { crlf: false })), 4)
  const source = await maildirSource(dir)
  assert.deepEqual(await contentOf(source), expected)
  const subscribed = []
  for await (const mailbox of source.mailboxes()) if (mailbox.subscribed) subscribed.push(mailbox.name)
  assert.deepEqual(subscribed, ['INBOX', 'Work/v1.2/Grüße'])
})

test('a second export writes nothing, also after a mail program moved and marked the files', async (t) => {
  const dir = await directory(t)
  await fill(maildirSink(dir, { crlf: true }))
  const [file = ''] = await readdir(join(dir, 'cur'))
  await rename(join(dir, 'cur', file), join(dir, 'cur', `${file}FT`))
  assert.equal(await fill(maildirSink(dir, { crlf: true })), 0)
  const sizes = /,S=(\d+),W=(\d+)/.exec(file)
  assert.equal((await stat(join(dir, 'cur', `${file}FT`))).size, Number(sizes?.[1]))
  assert.equal(sizes?.[1], sizes?.[2])
})

test('mbox files give back what was written, and stay where they are whole', async (t) => {
  const dir = await directory(t)
  assert.equal(await fill(mboxSink(dir)), 4)
  assert.deepEqual(await contentOf(await mboxSource(dir)), expected)
  assert.equal(await fill(mboxSink(dir)), 0)
  assert.ok((await readdir(dir)).every((name) => !name.startsWith('.')))
})

test('a Maildir of other software: folders in folders, keywords of Dovecot, LF, new mail', async (t) => {
  const dir = await directory(t)
  for (const folder of ['', '.Sent', 'Lists/dev']) {
    for (const half of ['cur', 'new', 'tmp']) await mkdir(join(dir, folder, half), { recursive: true })
  }
  await writeFile(join(dir, 'dovecot-keywords'), '0 $Junk\n1 Later\n')
  await writeFile(join(dir, 'cur', '100.a.host:2,Sbz'), 'Subject: a\n\na\n')
  await writeFile(join(dir, 'new', '101.b.host'), 'Subject: b\n\nb\n')
  await writeFile(join(dir, 'Lists', 'dev', 'cur', '99.c.host:2,'), 'Subject: c\r\n\r\nc\r\n')
  for (const path of ['cur/100.a.host:2,Sbz', 'new/101.b.host', 'Lists/dev/cur/99.c.host:2,']) {
    await utimes(join(dir, path), date, date)
  }
  assert.deepEqual(await contentOf(await maildirSource(dir)), [
    {
      mailbox: 'INBOX',
      messages: [
        ['Later \\Seen', 'Subject: a\r\n\r\na\r\n'],
        ['', 'Subject: b\r\n\r\nb\r\n'],
      ],
    },
    { mailbox: 'Lists/dev', messages: [['', 'Subject: c\r\n\r\nc\r\n']] },
    { mailbox: 'Sent', messages: [] },
  ])
  assert.deepEqual((await contentOf(await maildirSource(dir), (key) => key === '100.a.host'))[0]?.messages, [
    ['', 'Subject: b\r\n\r\nb\r\n'],
  ])
})

test('a message is found wherever the chunks of an mbox are cut, whether it was read or not', async () => {
  const text =
    'From a@example.org Tue Nov 24 03:00:00 2026\nStatus: RO\nX-Status: AF\nSubject: a\nX-Keywords: One\n  Two\n\n' +
    'From the start\n>>From twice\n\n\nFrom b Tue Nov 24 04:00:00 2026 +0100\nSubject: b\n\nFrom MAILER-DAEMON Tue Nov 24 03:00 2026\n' +
    `Subject: c\n\n${'x'.repeat(200_000)}\n`
  for (const size of [...SIZES, 300_000]) {
    const found = []
    for await (const { flags, date: at, octets } of mboxMessages(pieces(text, size))) {
      assert.deepEqual(at, date)
      found.push([flags.join(' '), found.length === 1 ? null : await textOf(octets)])
    }
    assert.deepEqual(found, [
      ['\\Seen \\Answered \\Flagged One Two', 'Subject: a\n\nFrom the start\n>From twice\n\n'],
      ['', null],
      ['', `Subject: c\n\n${'x'.repeat(200_000)}\n`],
    ])
  }
})

test('a line that would begin a message is quoted, and one that is quoted once more', async () => {
  for (const size of SIZES) {
    const quoted = await textOf(mboxQuoted(pieces('From x\n>From y\n From z\nFrom', size)))
    assert.equal(quoted, '>From x\n>>From y\n From z\nFrom\n\n')
  }
})

test('line ends change wherever the chunks are cut, and a lone CR stays', async () => {
  for (const size of SIZES) {
    assert.equal(await textOf(toCrlf(pieces('a\nb\r\n\n\rc\r', size))), 'a\r\nb\r\n\r\n\rc\r')
    assert.equal(await textOf(toLf(pieces('a\nb\r\n\r\n\rc\r', size))), 'a\nb\n\n\rc\r')
  }
})

test('every name of a mailbox is one folder, which names it again', () => {
  const names = ['Work', 'a/b', 'a.b/c', 'Grüße/日本', 'R&D', 'INBOX/below', '..', 'a/..']
  for (const name of names) {
    assert.equal(mailboxOf(folderOf(name)), name)
    assert.ok(!folderOf(name).includes('/'))
  }
  assert.equal(new Set(names.map(folderOf)).size, names.length)
  assert.equal(mailboxOf('.Gesendete Objekte &-'), 'Gesendete Objekte &')
  assert.equal(mailboxOf('..'), null)
  assert.equal(mailboxOf('.a..b'), null)
})

test('what is no mbox is refused before anything is taken', async (t) => {
  const dir = await directory(t)
  await writeFile(join(dir, 'file'), 'Subject: no mbox\n\n')
  await assert.rejects(contentOf(await mboxSource(join(dir, 'file'))), /no mbox/)
  await assert.rejects(mboxSource(join(dir, 'nothing')), /nothing/)
  await assert.rejects(maildirSource(dir), /no Maildir/)
  await assert.rejects(maildirSource(join(dir, 'nothing')), { name: 'NoMailThere', message: /there is nothing at/ })
  assert.equal(await readFile(join(dir, 'file'), 'latin1'), 'Subject: no mbox\n\n')
})

test('what is there and no Maildir is not taken for an account without mail', async (t) => {
  const dir = await directory(t)
  await writeFile(join(dir, 'file'), 'From smith@example.org Mon Jan  5 10:00:00 2026\n\n')
  await assert.rejects(maildirSource(join(dir, 'file')), { name: 'OtherForm', message: /--format mbox/ })
  await assert.rejects(maildirSource(join(dir, 'file', 'below')), { code: 'ENOTDIR' })
})
