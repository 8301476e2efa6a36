import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeRecord, MAX_RECORD_BYTES, RecordReader } from './records.ts'

const rows = [
  { row: { uid: 1 }, bytes: [] },
  {
    row: { uid: 2, text: 'grüße' },
    bytes: [new Uint8Array(0), Uint8Array.from([1, 2, 3]), new Uint8Array(1000).fill(7)],
  },
  { row: null, bytes: [Uint8Array.from([255])] },
]

test('rows come out as they went in, cut at every possible place', () => {
  const stream = Buffer.concat(rows.flatMap(({ row, bytes }) => encodeRecord(row, bytes)))
  for (let size = 1; size <= stream.length; size++) {
    const reader = new RecordReader()
    const out: unknown[] = []
    for (let at = 0; at < stream.length; at += size) {
      for (const { row, bytes } of reader.push(stream.subarray(at, at + size))) {
        out.push({ row, bytes: bytes.map((piece) => Uint8Array.from(piece)) })
      }
    }
    assert.deepEqual(out, rows, `pieces of ${size}`)
    assert.ok(reader.atBoundary)
  }
})

test('an incomplete record is noticed', () => {
  const reader = new RecordReader()
  const [first = new Uint8Array()] = encodeRecord({ uid: 1 })
  assert.deepEqual([...reader.push(first.subarray(0, -1))], [])
  assert.equal(reader.atBoundary, false)
})

test('lengths that cannot be are refused before anything is kept for them', () => {
  const length = (value: number): Uint8Array => {
    const bytes = Buffer.alloc(8)
    bytes.writeUInt32BE(value)
    return bytes
  }
  assert.throws(() => [...new RecordReader().push(length(MAX_RECORD_BYTES + 1))], /a record of/)
  assert.throws(() => [...new RecordReader().push(length(0))], /a record of 0 bytes/)
  // A byte string longer than its record.
  assert.throws(() => [...new RecordReader().push(Uint8Array.from([0, 0, 0, 4, 0, 0, 0, 9]))], /inside a byte string/)
})

test('a row too large for its reader is refused where it is made', () => {
  assert.throws(() => encodeRecord({}, [new Uint8Array(MAX_RECORD_BYTES)]), /a row of/)
})
