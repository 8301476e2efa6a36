import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { test } from 'node:test'

import { dkimVerify } from 'mailauth/lib/dkim/verify.js'

import { keyPair, type KeyPair } from './key-pair.ts'
import { keyRecord, keyRecordName } from './key-record.ts'
import { signatureOf, type SigningKey } from './signature.ts'

const at = new Date('2026-01-05T10:00:00.000Z')
const pairs: readonly KeyPair[] = await Promise.all([keyPair('rsa'), keyPair('ed25519')])
const keys: readonly SigningKey[] = pairs.map(({ algorithm, privateKey }) => ({
  ...{ domain: 'example.org', selector: algorithm, algorithm },
  privateKey: createPrivateKey(privateKey),
}))
const records = new Map(
  pairs.map(({ algorithm, publicKey }) => [keyRecordName(algorithm, 'example.org'), keyRecord(algorithm, publicKey)]),
)

async function* inChunks(message: Buffer, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < message.length; at += size) yield message.subarray(at, at + size)
}

const sign = (message: Buffer, size?: number): Promise<string> =>
  signatureOf(inChunks(message, size), { keysFor: async () => keys, at })

/** How mailauth, strict, reads the signatures, with the records in a DNS of our own. */
async function verdicts(message: Buffer): Promise<string[]> {
  const resolver = async (name: string, type: string): Promise<string[][]> => {
    const record = type === 'TXT' ? records.get(name) : undefined
    if (record === undefined) throw Object.assign(new Error(`no ${type} of ${name}`), { code: 'ENOTFOUND' })
    return [record.match(/.{1,255}/g) ?? []]
  }
  const { results } = await dkimVerify(message, { resolver, strict: true, curTime: at })
  return results.map(({ algo, status: { result, comment } }) => [algo, result, comment].filter(Boolean).join(' '))
}

const signed = async (message: Buffer, size?: number): Promise<Buffer> =>
  Buffer.concat([Buffer.from(await sign(message, size)), message])
const both = ['rsa-sha256 pass', 'ed25519-sha256 pass']
const header = 'From: Smith <smith@example.org>\r\nTo: jones@example.com\r\nSubject: hello\r\nDate: today\r\n'
const text = (body: string, more = ''): Buffer => Buffer.from(`${header}${more}\r\n${body}`, 'utf8')

test('both signatures of an awkward message verify', async () => {
  const messages: Record<string, Buffer> = {
    plain: text('Hello Jones\r\n'),
    'empty body': text(''),
    'no empty line': Buffer.from(header),
    'empty lines only': text('\r\n\r\n\r\n'),
    'no final line end': text('Hello\r\nJones'),
    'trailing blanks': text('Hello  \t\r\n\t Jones   '),
    'long lines': text(`${'x'.repeat(998)}\r\n${'word '.repeat(199)}\r\n`),
    'a line beyond every limit': text(`${'x'.repeat(100_000)}\r\n`),
    'folded fields': text('x\r\n', 'References: <a@b>\r\n\t<c@d>\r\n  <e@f>\r\nMIME-Version:\r\n 1.0\r\n'),
    'blanks before colons': text('x\r\n', 'Cc :  a@b.test ,\tc@d.test  \r\n'),
    'UTF-8 in header and body': text('Grüße, 日本語\r\n', 'Cc: "Jürgen Ž" <j@example.org>\r\n'),
    'Latin-1 in header and body': Buffer.from(
      `${header}X: \u00e9\r\nCc: caf\u00e9 <j@b.test>\r\n\r\ncaf\u00e9\r\n`,
      'latin1',
    ),
    'fields that occur twice': text('x\r\n', 'List-Id: <a>\r\nList-Id: <b>\r\nReceived: a\r\nReceived: b\r\n'),
    'many recipients': text('x\r\n', `Cc: ${Array.from({ length: 500 }, (_, n) => `a${n}@b.test`).join(',\r\n ')}\r\n`),
    dots: text('.\r\n..\r\n. \r\n'),
    '100 KiB': text('sixty-four octets of text, of which there is some repetition.\r\n'.repeat(1600)),
  }
  for (const [name, message] of Object.entries(messages)) {
    for (const size of [1, 7, 65_536])
      assert.deepEqual(await verdicts(await signed(message, size)), both, `${name}/${size}`)
  }
})

test('what a reader sees cannot be changed: fields are covered, and those that are added as well', async () => {
  const message = await signed(text('Hello Jones\r\n', 'Received: x\r\n'))
  const changes: [RegExp | string, string][] = [
    ['Subject: hello', 'Subject: hell'],
    ['\r\n\r\nHello', '\r\n\r\nhello'],
    ['From: Smith', 'From: Ghost <ghost@example.com>\r\nFrom: Smith'],
    ['To: jones', 'Cc: ghost@example.com\r\nTo: jones'],
    ['Date: today', 'Reply-To: ghost@example.com\r\nDate: today'],
    ['Date: today', 'Content-Type: text/html\r\nDate: today'],
    ['Jones\r\n', 'Jones\r\nAnd one thing more.\r\n'],
  ]
  for (const [before, after] of changes) {
    const changed = Buffer.from(message.toString('latin1').replace(before, after), 'latin1')
    assert.ok(
      (await verdicts(changed)).every((verdict) => !verdict.includes('pass')),
      after,
    )
  }
})

test('what changes on the way breaks nothing', async () => {
  const message = (await signed(text('Hello  Jones\r\n', 'Received: x\r\n'))).toString('latin1')
  const onTheWay = message
    .replace('Subject: hello', 'SUBJECT:\r\n\thello ')
    .replace('Hello  Jones', 'Hello Jones \t')
    .replace('From:', 'Received: by another\r\nSender: list@example.com\r\nList-Id: <list>\r\nFrom:')
  assert.deepEqual(await verdicts(Buffer.from(`${onTheWay}\r\n\r\n`, 'latin1')), both)
})

test('the fields are folded, end with CRLF and name what they must', async () => {
  const fields = await sign(text('x\r\n'))
  assert.equal(fields.match(/^DKIM-Signature: v=1; a=(?:rsa|ed25519)-sha256; c=relaxed\/relaxed;\r\n\t/gm)?.length, 2)
  assert.ok(fields.split('\r\n').every((line) => line.length <= 78))
  assert.match(fields, /\r\n$/)
  assert.doesNotMatch(fields, /\bl=|\r\n\r\n|[^\r]\n/)
  const h = /h=([^;]*);/.exec(fields)?.[1]?.replaceAll(/\s/g, '').split(':') ?? []
  assert.deepEqual(h.slice(0, 5), ['from', 'from', 'reply-to', 'subject', 'subject'])
  assert.match(fields, new RegExp(`t=${at.getTime() / 1000};`))
})

test('every From there is is covered, and one more', async () => {
  const fields = await sign(Buffer.from('From: a@example.org\r\nfrom : b@example.org\r\n\r\nx\r\n'))
  const h = /h=([^;]*);/.exec(fields)?.[1] ?? ''
  assert.equal(h.match(/\bfrom\b/g)?.length, 3)
})

test('without a key nothing is signed and the body is not read', async () => {
  let closed = false
  async function* message(): AsyncGenerator<Uint8Array> {
    try {
      yield text('the beginning of a body')
      assert.fail('read on')
    } finally {
      closed = true
    }
  }
  let asked = ''
  const keysFor = async (header: Buffer) => {
    asked = header.toString()
    return []
  }
  assert.equal(await signatureOf(message(), { keysFor, at }), '')
  assert.match(asked, /^From: [^]*\r\nDate: .*\r\n\r\n$/)
  assert.ok(closed)
})

test('a message that cannot be read or keys that cannot be had are the caller’s to know', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield text('begun')
    throw new Error('disk')
  }
  await assert.rejects(signatureOf(broken(), { keysFor: async () => keys, at }), /disk/)
  const keysFor = () => Promise.reject(new Error('no directory'))
  await assert.rejects(signatureOf(inChunks(text('x')), { keysFor, at }), /no directory/)
})
