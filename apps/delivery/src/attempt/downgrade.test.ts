import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sevenBitForm } from './downgrade.ts'

const lines = (...all: string[]): Buffer => Buffer.from(all.map((line) => `${line}\r\n`).join(''))

/** In chunks of this many octets. */
const inChunks = (bytes: Buffer, size: number) =>
  async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }

async function convert(bytes: Buffer): Promise<string> {
  const texts = new Set<string>()
  for (const size of [1, 7, bytes.length]) {
    const form = await sevenBitForm(inChunks(bytes, size))
    if (form.kind === 'impossible') return form.reason
    const chunks: Uint8Array[] = []
    for await (const chunk of form.read()) chunks.push(chunk)
    const whole = Buffer.concat(chunks)
    assert.equal(whole.length, form.size)
    assert.ok(whole.every((octet) => octet < 128))
    texts.add(whole.toString())
  }
  assert.equal(texts.size, 1)
  return String([...texts][0])
}

test('text is encoded so that it stays readable, and says so', async () => {
  const message = lines(
    ...[
      'Subject: x',
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding:',
      ' 8bit',
      'Content-Type: text/plain; charset=utf-8',
    ],
    ...['', 'Grüße', '-- ', 'Jürgen'],
  )
  assert.equal(
    await convert(message),
    lines(
      ...['Subject: x', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8'],
      ...['Content-Transfer-Encoding: quoted-printable', '', 'Gr=C3=BC=C3=9Fe', '=2D-=20', 'J=C3=BCrgen'],
    ).toString(),
  )
})

test('of a multipart only the parts that need it are encoded, and what is around them no longer claims eight bits', async () => {
  const message = lines(
    ...['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b', 'Content-Transfer-Encoding: 8bit', ''],
    ...['Präambel', '--b', 'Content-Type: text/plain', '', 'plain  =', '--b', 'Content-Type: text/html', ''],
    ...[
      '<p>ü</p>',
      '--b',
      'Content-Type: image/png',
      'Content-Transfer-Encoding: binary',
      '',
      'é',
      '--b',
      '',
      'ß',
      '--b--',
    ],
  )
  assert.equal(
    await convert(message),
    lines(
      ...['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b', 'Content-Transfer-Encoding: 7bit', ''],
      ...['Pr??ambel', '--b', 'Content-Type: text/plain', '', 'plain  =', '--b', 'Content-Type: text/html'],
      ...['Content-Transfer-Encoding: quoted-printable', '', '<p>=C3=BC</p>', '--b', 'Content-Type: image/png'],
      ...['Content-Transfer-Encoding: base64', '', 'w6k=', '--b', 'Content-Transfer-Encoding: quoted-printable', ''],
      ...['=C3=9F', '--b--'],
    ).toString(),
  )
})

test('a message in a message is converted inside; it is never encoded itself', async () => {
  const message = lines(
    ...['MIME-Version: 1.0', 'Content-Type: message/rfc822', 'Content-Transfer-Encoding: 8bit', ''],
    ...['From: a@b.test', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', '', 'Grüße'],
  )
  assert.equal(
    await convert(message),
    lines(
      ...['MIME-Version: 1.0', 'Content-Type: message/rfc822', 'Content-Transfer-Encoding: 7bit', ''],
      ...['From: a@b.test', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8'],
      ...['Content-Transfer-Encoding: quoted-printable', '', 'Gr=C3=BC=C3=9Fe'],
    ).toString(),
  )
})

test('a message/global is encoded whole', async () => {
  const message = lines(
    ...[
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=b',
      '',
      '--b',
      'Content-Type: message/global',
      '',
    ],
    ...['Subject: ü', '', 'ü', '--b--'],
  )
  const inner = Buffer.from('Subject: ü\r\n\r\nü').toString('base64')
  assert.ok((await convert(message)).includes(`Content-Transfer-Encoding: base64\r\n\r\n${inner}\r\n--b--`))
})

test('a message that is not MIME becomes MIME, of a charset nobody knows', async () => {
  assert.equal(
    await convert(lines('Subject: x', '', 'Grüße')),
    lines(
      ...['Subject: x', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=unknown-8bit'],
      ...['Content-Transfer-Encoding: quoted-printable', '', 'Gr=C3=BC=C3=9Fe'],
    ).toString(),
  )
})

test('what converting would break is left alone', async () => {
  const multipart = (type: string, ...inside: string[]) =>
    lines('MIME-Version: 1.0', `Content-Type: multipart/${type}; boundary=b`, '', '--b', ...inside, '--b--')
  const cases: [Buffer, RegExp][] = [
    [lines('DKIM-Signature: v=1', 'Subject: x', '', 'ü'), /break its DKIM-Signature/],
    [multipart('signed', '', 'ü'), /multipart\/signed/],
    [multipart('encrypted', '', 'ü'), /multipart\/encrypted/],
    [multipart('mixed', 'Content-Description: ü', '', 'ü'), /header inside/],
    [multipart('mixed', 'Content-Transfer-Encoding: base64', '', 'ü'), /not base64/],
    [multipart('mixed', 'Content-Type: message/partial', '', 'ü'), /message\/partial/],
    [lines('MIME-Version: 1.0', 'Content-Type: multipart/mixed', '', 'ü'), /multipart/],
  ]
  for (const [message, reason] of cases) assert.match(await convert(message), reason)
})

test('a signed part beside one that is converted stays as it is', async () => {
  const signed = lines('Content-Type: multipart/signed; boundary=s', '', '--s', '', 'plain', '--s--').toString()
  const message = lines(
    ...['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'ü', '--b', signed + '--b--'],
  )
  assert.ok((await convert(message)).includes(signed))
})
