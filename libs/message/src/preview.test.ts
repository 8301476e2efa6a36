import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseStructureOf } from './parse-structure.ts'
import { previewSource, previewText } from './preview.ts'

function preview(...lines: string[]): string {
  const message = Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'utf8')
  const source = previewSource(parseStructureOf(message))
  return source === undefined ? '' : previewText(source, message.subarray(source.range.start, source.range.end))
}

const html = (markup: string): string =>
  preview('MIME-Version: 1.0', 'Content-Type: text/html; charset=utf-8', '', markup)

test('blanks and line ends are one space each run', () => {
  assert.equal(preview('Subject: x', '', '  Hello', '', '\tthere  you '), 'Hello there you')
})

test('at most 200 characters, none of them cut in two', () => {
  assert.equal(preview('', 'word '.repeat(100)).length, 199)
  assert.equal(
    [...preview('MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', '', '😀'.repeat(300))].length,
    200,
  )
})

test('encodings and charsets are undone', () => {
  const fields = ['MIME-Version: 1.0', 'Content-Type: text/plain; charset=iso-8859-1']
  assert.equal(
    preview(...fields, 'Content-Transfer-Encoding: quoted-printable', '', 'Gr=FC=DFe =', 'aus K=F6ln'),
    'Grüße aus Köln',
  )
})

test('of HTML only what a reader sees', () => {
  assert.equal(
    html('<style>p{}</style><p>Hello&nbsp;<b>th</b>ere &amp; y&#111;u</p><script>x()</script><!-- c --> end'),
    'Hello there & you end',
  )
  assert.equal(html('1 < 2 &unknown; &#xd800; <unclosed'), '1 < 2 &unknown; �')
  assert.equal(html('<p>one</p><p>two</p><br>three'), 'one two three')
})

test('hostile HTML takes linear time', () => {
  html('<'.repeat(30_000))
  html('&#'.repeat(15_000))
  html('<style>'.repeat(4000))
})

test('plain text goes before its HTML alternative; attachments and attached messages are passed over', () => {
  const mixed = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b', '']
  const alternative = ['MIME-Version: 1.0', 'Content-Type: multipart/alternative; boundary=b', '']
  assert.equal(
    preview(...alternative, '--b', 'Content-Type: text/html', '', '<p>markup</p>', '--b', '', 'plain', '--b--'),
    'plain',
  )
  assert.equal(
    preview(
      ...mixed,
      '--b',
      'Content-Disposition: attachment',
      '',
      'no',
      '--b',
      'Content-Type: message/rfc822',
      '',
      'Subject: x',
      '',
      'no',
      '--b',
      '',
      'yes',
      '--b--',
    ),
    'yes',
  )
  assert.equal(preview(...mixed, '--b', 'Content-Type: image/png', '', 'x', '--b--'), '')
})

test('quoted lines are left out unless there are no others', () => {
  assert.equal(preview('', '> asked', 'answered', '>> before'), 'answered')
  assert.equal(preview('', '> only this'), '> only this')
})
