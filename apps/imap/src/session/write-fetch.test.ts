import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import { encodeEnvelope } from '@postbus/imap-wire'
import { octetsOf, parseStructureOf } from '@postbus/message'

import { Output } from '../output.ts'
import { writeFetch } from './write-fetch.ts'

test('octets of a header beyond ASCII reach the client as the message had them, and as many as announced', async () => {
  const envelope = encodeEnvelope(parseStructureOf(octetsOf('Subject: gr\xc3\xbc\xdfe\r\n\r\n')).envelope ?? {})
  const stream = new PassThrough()
  const out = new Output(stream, { maxBufferedBytes: 1024, stallMs: 1000 })
  const noBlobs = { read: () => assert.fail('no blob is read') }
  await writeFetch(out, noBlobs, 1, [{ text: `ENVELOPE ${envelope}` }])
  out.flush()
  const sent: Buffer = stream.read()
  assert.equal(
    sent.toString('latin1'),
    '* 1 FETCH (ENVELOPE (NIL {6}\r\ngr\xc3\xbc\xdfe NIL NIL NIL NIL NIL NIL NIL NIL))\r\n',
  )
})
