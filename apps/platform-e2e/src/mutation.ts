/** Messages broken a little further, drawn from a seed by fast-check. */
import fc from 'fast-check'

import type { StrangeMessage } from './strange-messages.ts'

/** Characters of a message that name it where it fails. */
const NAME_LENGTH = 600

/** What breaks messages when it stands in the wrong place. */
const splinters = [
  ...[
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    '"',
    '\\',
    '(',
    ')',
    '<',
    '>',
    '@',
    ':',
    ';',
    ',',
    '=',
    '*',
    '--',
    '\x80',
  ],
  ...['--b\r\n', '--b--\r\n', '\r\n--b\r\n', '\r\n--b--\r\n', '--c\r\n', '\r\n ', '=?utf-8?q?=C3=BC?=', 'x*0=a; x*1=b'],
  ...['Content-Type: text/html\r\n', 'Content-Type: message/rfc822\r\n\r\n', 'Subject: s\r\n', 'From: A <a@b>, c\r\n'],
  ...['Content-Type: multipart/mixed; boundary=b\r\n', 'Content-Type: multipart/digest; boundary="c"\r\n\r\n'],
]

interface Stroke {
  at: number
  take: number
  put: string
}

/** A message of the corpus with some of its octets taken out, doubled, or broken by splinters. */
export function mutation(corpus: readonly StrangeMessage[]): fc.Arbitrary<StrangeMessage> {
  const short = corpus.filter(({ bytes }) => bytes.length < 4000)
  const stroke: fc.Arbitrary<Stroke> = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    take: fc.nat({ max: 12 }),
    put: fc.oneof(fc.constant(''), fc.constantFrom(...splinters)),
  })
  return fc
    .tuple(fc.constantFrom(...short), fc.array(stroke, { minLength: 1, maxLength: 4 }))
    .map(([{ name, bytes }, strokes]) => {
      let text = bytes.toString('latin1')
      for (const { at, take, put } of strokes) {
        const from = Math.floor(at * text.length)
        text = text.slice(0, from) + put + text.slice(from + take)
      }
      return { name: `${name} as ${JSON.stringify(text.slice(0, NAME_LENGTH))}`, bytes: Buffer.from(text, 'latin1') }
    })
    .filter(({ bytes }) => bytes.length > 0)
}
