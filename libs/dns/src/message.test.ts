import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'

import { encode } from 'dns-packet'
import fc from 'fast-check'

import { MalformedMessage } from './errors.ts'
import { decodeResponse, encodeQuestion, type Question, responseId } from './message.ts'
import type { RecordType } from './records.ts'

const question = { type: 'MX', name: 'far.test' } as const

const sound = (): Buffer =>
  encode({
    type: 'response',
    id: 7,
    questions: [question],
    answers: [
      { type: 'CNAME', name: 'far.test', ttl: 60, data: 'near.test' },
      { type: 'MX', name: 'near.test', ttl: 60, data: { preference: 10, exchange: 'a.near.test' } },
      { type: 'TXT', name: 'far.test', ttl: 60, data: ['x', 'y'] },
      {
        type: 'TLSA',
        name: 'far.test',
        ttl: 60,
        data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32) },
      },
    ],
    authorities: [{ type: 'SOA', name: 'test', ttl: 50, data: { mname: 'a.test', rname: 'b.test', minimum: 40 } }],
    additionals: [{ type: 'A', name: 'a.near.test', ttl: 60, data: '192.0.2.1' }],
  })

test('a response is read in all its parts', () => {
  const response = decodeResponse(sound(), question)
  assert.deepEqual(response?.records, [
    { name: 'near.test', ttl: 60, data: { preference: 10, exchange: 'a.near.test' } },
  ])
  assert.deepEqual(response.aliases, [{ name: 'far.test', ttl: 60, data: 'near.test' }])
  assert.deepEqual(response.soa, { zone: 'test', ttl: 40 })
})

test('another question, another type or a question instead of a response is no answer', () => {
  assert.equal(decodeResponse(sound(), { type: 'MX', name: 'near.test' }), null)
  assert.equal(decodeResponse(sound(), { type: 'A', name: 'far.test' }), null)
  assert.equal(responseId(encodeQuestion(7, question, true)), null)
  assert.equal(responseId(sound()), 7)
})

test('a record whose length and data disagree is malformed', () => {
  const lies = sound()
  const at = lies.lastIndexOf(Buffer.from([0, 0x0f, 0, 1, 0, 0, 0, 60])) + 8
  lies.writeUInt16BE(lies.readUInt16BE(at) + 1, at)
  assert.throws(() => decodeResponse(lies, question), MalformedMessage)
})

test('a TTL with its highest bit set is none', () => {
  const answers = [{ type: 'A', name: 'far.test', ttl: 0x8000_0000, data: '192.0.2.1' }] as const
  const message = encode({
    type: 'response',
    id: 7,
    questions: [{ type: 'A', name: 'far.test' }],
    answers: [...answers],
  })
  assert.equal(decodeResponse(message, { type: 'A', name: 'far.test' })?.records[0]?.ttl, 0)
})

test('the upper bits of the code come from EDNS', () => {
  const message = encode({
    type: 'response',
    id: 7,
    questions: [question],
    additionals: [
      {
        ...{ type: 'OPT', name: '.', udpPayloadSize: 1232, extendedRcode: 1, ednsVersion: 0 },
        ...{ flags: 0, flag_do: false, options: [] },
      },
    ],
  })
  assert.equal(decodeResponse(message, question)?.rcode, 'BADVERS')
})

/** It either is an answer, or answers something else, or is malformed; and never takes long. */
function survives(message: Buffer, asked: Question): void {
  try {
    const response = decodeResponse(message, asked)
    assert.ok(response === null || response.records.length <= 1000)
  } catch (error) {
    assert.ok(error instanceof MalformedMessage, String(error))
  }
}

const types: RecordType[] = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'TLSA', 'TXT']

test('whatever octets come, reading ends and says what they are', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 12, maxLength: 600 }),
      fc.constantFrom(...types),
      fc.boolean(),
      (octets, type, echo) => {
        const message = Buffer.from(octets)
        const asked = { type, name: 'far.test' }
        if (!echo) return survives(message, asked)
        // A sound header and question, so that the records are reached.
        const head = encode({ type: 'response', id: 7, questions: [asked] })
        message.copy(head, 6, 0, 6)
        survives(Buffer.concat([head, message]), asked)
      },
    ),
    { numRuns: 3000 },
  )
})

test('a sound message with octets changed, cut or added is survived', () => {
  const change = fc.tuple(fc.nat(), fc.nat(255))
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 8 }),
      fc.nat(),
      fc.uint8Array({ maxLength: 20 }),
      (changes, cut, tail) => {
        const message = Buffer.concat([sound(), tail])
        for (const [at, octet] of changes) message[at % message.length] = octet
        survives(message.subarray(0, 12 + (cut % (message.length - 11))), question)
        for (const type of types) {
          // The question's type changes with what is asked, so that every reader meets the octets.
          const code = Buffer.from(encodeQuestion(7, { ...question, type }, false)).readUInt16BE(22)
          message.writeUInt16BE(code, 22)
          survives(message, { ...question, type })
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('thousands of records, or names that lead through the whole message, take no time', () => {
  const head = encode({ type: 'response', id: 7, questions: [question] })
  // 300 labels' worth of pointers, each to the one before.
  const pointers = Array.from({ length: 20_000 }, (_, index) => {
    const pointer = Buffer.alloc(2)
    pointer.writeUInt16BE(0xc000 | Math.min(0x3fff, Math.max(12, head.length + 2 * (index - 1))))
    return pointer
  })
  const message = Buffer.concat([head, ...pointers])
  for (const count of [1, 900, 0xffff]) {
    message.writeUInt16BE(count, 6)
    survives(message, question)
  }
})
