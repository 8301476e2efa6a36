import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SmtpError } from '@postbus/smtp'
import fc from 'fast-check'

import { readHeader } from './read-header.ts'

async function* inPieces(bytes: Buffer, ...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = Math.max(1, sizes[n % sizes.length] ?? bytes.length)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const read = (text: string, maxBytes = 10_000, ...sizes: number[]) =>
  readHeader(inPieces(Buffer.from(text), ...sizes), maxBytes)

const names = ({ fields }: Awaited<ReturnType<typeof read>>): string[] => fields.map(({ name }) => name)

test('the header is the same however the message is cut into pieces', async () => {
  const text = 'From: a\r\nSubject: one\r\n two\r\n\r\nbody: no\r\n\r\n'
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sizes) => {
      const header = await read(text, 10_000, ...sizes)
      assert.deepEqual(names(header), ['From', 'Subject'])
      assert.ok(text.startsWith(String(header.begin)) && header.begin.length >= text.indexOf('body'))
    }),
  )
})

test('a message that is all header, an empty one, and one with an empty header are read', async () => {
  assert.deepEqual(names(await read('From: a\r\nTo: b\r\n')), ['From', 'To'])
  for (const text of ['', '\r\nbody\r\n']) {
    const { fields, headless } = await read(text)
    assert.deepEqual([fields, headless], [[], false], JSON.stringify(text))
  }
})

test('a message that begins with text has no header, however long it is', async () => {
  const texts = ['text', 'text\r\n', 'Dear Sir: hello\r\nX: 1\r\n\r\n', ' folded\r\n', `a b\r\n${'x'.repeat(50_000)}`]
  for (const text of texts) {
    const { fields, headless } = await read(text, 100, 7)
    assert.deepEqual([fields, headless], [[], true], text.slice(0, 20))
  }
})

test('a line of an mbox file in front of a header is no text', async () => {
  const line = 'From a@b.test Mon Jan  5 10:00:00 2026'
  for (const first of [line, `>${line}`, `${line} +0100`, 'From MAILER-DAEMON Mon Jan 15 10:00 CET 2026']) {
    for (const size of [1, 7, 10_000]) {
      const header = await read(`${first}\r\nFrom: a\r\nTo: b\r\n\r\nbody\r\n`, 10_000, size)
      assert.deepEqual([names(header), header.mailboxLine, header.headless], [['From', 'To'], true, false], first)
    }
  }
  for (const text of ['From me to you\r\n', 'From Monday on: 2026\r\nX: 1\r\n\r\n', `\r\n${line}\r\n`]) {
    assert.equal((await read(text)).mailboxLine, false, text)
  }
})

test('a header above its limit is refused before it is read to the end', async () => {
  let given = 0
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      given += 100
      yield Buffer.from(`X-${given}: ${'y'.repeat(88)}\r\n`)
    }
  }
  await assert.rejects(readHeader(endless(), 5000), (error) => error instanceof SmtpError && error.code === 552)
  assert.ok(given < 6000)
  await assert.rejects(read(`X: ${'y'.repeat(5000)}\r\n\r\n`, 1000), SmtpError)
})

test('octet by octet, a header of many lines and one of a single line take time in proportion to their size', async () => {
  const begun = performance.now()
  assert.equal((await read(`${'X: y\r\n'.repeat(10_000)}\r\n`, 100_000, 1)).fields.length, 10_000)
  assert.equal((await read(`X: ${'y'.repeat(60_000)}\r\n\r\n`, 100_000, 1)).fields.length, 1)
  assert.ok(performance.now() - begun < 10_000)
})
