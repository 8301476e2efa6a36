import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BusFull, BusUnavailable } from '@postbus/bus'
import { Envelope, type MailAccepted } from '@postbus/contracts'
import { SmtpError } from '@postbus/smtp'
import { SpoolFull, type SpoolWriter } from '@postbus/spool'
import { pino } from 'pino'

import { createIntake, type Incoming, type IntakeOptions } from './intake.ts'

interface World {
  events: string[]
  published: MailAccepted[]
  stored: string[]
}

function intakeIn(world: World, overrides: Partial<IntakeOptions> = {}, spool: Partial<SpoolWriter> = {}) {
  return createIntake({
    bus: {
      async publish(_contract, event) {
        world.events.push('published')
        world.published.push(event as MailAccepted)
      },
    },
    spool: {
      async put(_queueId, body, describe) {
        const chunks = await Array.fromAsync(body)
        world.stored.push(Buffer.concat(chunks).toString())
        world.events.push('durable')
        return describe(Buffer.concat(chunks).length)
      },
      putIfAbsent: () => assert.fail('not for intake'),
      hasRoom: () => true,
      close: async () => {},
      ...spool,
    },
    hostname: 'mx.example.org',
    log: pino({ level: 'silent' }),
    now: () => new Date('2026-01-05T10:00:00Z'),
    publishWaitMs: 50,
    firstPauseMs: 5,
    ...overrides,
  })
}

const newWorld = (): World => ({ events: [], published: [], stored: [] })

async function* chunked(text: string, size = 7): AsyncIterable<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size)
}

const incoming = (text: string, overrides: Partial<Incoming> = {}): Incoming => ({
  origin: 'inbound',
  envelope: Envelope.parse({ reversePath: 'a@example.com', recipients: [{ forwardPath: 'jones@example.org' }] }),
  client: { helo: 'client.test', address: '192.0.2.7', hostname: 'c.test', tls: null, protocol: 'ESMTP' },
  body: chunked(text),
  maxBytes: 1000,
  inspect: async () => ({ prepend: [] }),
  ...overrides,
})

const MESSAGE = 'Subject: x\r\nMessage-ID: <1@client.test>\r\n\r\nbody\r\n'

test('the record is durable before the event, and the event out before the answer', async () => {
  const world = newWorld()
  const { queueId } = await intakeIn(world).take(incoming(MESSAGE))
  assert.deepEqual(world.events, ['durable', 'published'])
  assert.equal(world.published[0]?.queueId, queueId)
  assert.equal(world.published[0]?.messageId, '<1@client.test>')
})

test('a bus that fails does not take the answer back, and hears of the message later', async () => {
  const world = newWorld()
  let failures = 2
  const heard = Promise.withResolvers<string>()
  const intake = intakeIn(world, {
    bus: {
      async publish(_contract, event) {
        if (failures-- > 0) throw new BusUnavailable('nobody answers')
        heard.resolve((event as MailAccepted).queueId)
      },
    },
  })
  const { queueId } = await intake.take(incoming(MESSAGE))
  assert.equal(await heard.promise, queueId)
  await intake.drain()
})

test('a full bus closes the gate until it takes again', async () => {
  const world = newWorld()
  let full = true
  const heard = Promise.withResolvers<void>()
  const intake = intakeIn(world, {
    bus: {
      async publish() {
        if (full) throw new BusFull('no room')
        heard.resolve()
      },
    },
  })
  assert.equal(intake.gate(), null)
  await intake.take(incoming(MESSAGE))
  assert.equal(intake.gate()?.code, 452)
  full = false
  await heard.promise
  await intake.drain()
  assert.equal(intake.gate(), null)
})

test('a full spool is 452 at MAIL and after DATA', async () => {
  const world = newWorld()
  const put = async (): Promise<never> => {
    throw new SpoolFull('disk')
  }
  const intake = intakeIn(world, {}, { put, hasRoom: () => false })
  assert.equal(intake.gate()?.code, 452)
  await assert.rejects(intake.take(incoming(MESSAGE)), (error) => error instanceof SmtpError && error.code === 452)
  assert.deepEqual(world.published, [])
})

test('a message with eight bits is one of 8BITMIME, whatever its client declared', async () => {
  const declared = async (text: string, body?: '7BIT' | '8BITMIME') => {
    const world = newWorld()
    const { envelope } = incoming('')
    await intakeIn(world).take(incoming(text, { envelope: { ...envelope, body } }))
    const [event] = world.published
    assert.equal(event?.body, event?.envelope.body)
    return event?.body
  }
  const eightBit = 'Subject: x\r\n\r\nGrüße\r\n'
  assert.deepEqual(
    [await declared(eightBit), await declared(eightBit, '7BIT'), await declared(eightBit, '8BITMIME')],
    ['8BITMIME', '8BITMIME', '8BITMIME'],
  )
  assert.deepEqual(
    [await declared(MESSAGE), await declared(MESSAGE, '7BIT'), await declared(MESSAGE, '8BITMIME')],
    [undefined, '7BIT', '8BITMIME'],
  )
})

test('a message out of an mbox file keeps its header', async () => {
  const world = newWorld()
  const line = 'From a@client.test Mon Jan  5 10:00:00 2026'
  await intakeIn(world).take(incoming(`${line}\r\n${MESSAGE}`))
  assert.ok(world.stored[0]?.endsWith(`+0000\r\nX-Mailbox-Line: ${line}\r\n${MESSAGE}`))
  assert.equal(world.published[0]?.messageId, '<1@client.test>')
})

test('what inspection refuses is never stored, and its body is let go', async () => {
  const world = newWorld()
  let closed = false
  async function* body(): AsyncIterable<Uint8Array> {
    try {
      yield Buffer.from('Subject: x\r\n\r\n')
      yield Buffer.from('never read')
    } finally {
      closed = true
    }
  }
  const inspect = async (): Promise<never> => {
    throw new SmtpError(550, '5.7.1', 'no')
  }
  await assert.rejects(intakeIn(world).take(incoming('', { body: body(), inspect })), SmtpError)
  assert.deepEqual([world.stored, closed], [[], true])
})

test('trace and added fields stand in front, the message is untouched behind them', async () => {
  for (const size of [1, 3, 1000]) {
    const world = newWorld()
    const inspect: Incoming['inspect'] = async (header) => {
      assert.deepEqual(
        header.map(({ name }) => name),
        ['Subject', 'Message-ID'],
      )
      return { prepend: ['Date: Mon, 05 Jan 2026 10:00:00 +0000'] }
    }
    await intakeIn(world).take(incoming('', { body: chunked(MESSAGE, size), inspect }))
    const [stored = ''] = world.stored
    assert.match(stored, /^Received: from client\.test \(c\.test \[192\.0\.2\.7\]\)/)
    assert.match(stored, /for <jones@example\.org>;\r\n\tMon, 05 Jan 2026 10:00:00 \+0000\r\nDate: Mon/)
    assert.ok(stored.endsWith(`+0000\r\n${MESSAGE}`))
  }
})

test('a message without a header keeps its first line out of ours', async () => {
  const world = newWorld()
  await intakeIn(world).take(incoming('just text\r\n'))
  assert.match(world.stored[0] ?? '', /\r\n\r\njust text\r\n$/)
})

test('a delivery report from the null reverse-path is marked for the books; nothing else is', async () => {
  const toUs = (reversePath: string) => ({
    envelope: Envelope.parse({ reversePath, recipients: [{ forwardPath: 'jones@example.org' }] }),
  })
  const marked = async (contentType: string, overrides: Partial<Incoming> = toUs('')) => {
    const world = newWorld()
    await intakeIn(world).take(incoming(`Content-Type: ${contentType}\r\n\r\nbody\r\n`, overrides))
    return world.published[0]?.report
  }
  assert.equal(await marked('multipart/report; report-type=delivery-status; boundary=b'), true)
  assert.equal(await marked('Multipart/REPORT;\r\n boundary="b"; Report-Type="Delivery-Status"'), true)
  assert.equal(await marked('multipart/report; boundary=b'), true)
  assert.equal(await marked('multipart/report; report-type=disposition-notification; boundary=b'), undefined)
  assert.equal(await marked('multipart/mixed; boundary=b'), undefined)
  assert.equal(await marked('multipart/report; boundary=b', toUs('a@example.com')), undefined)
  assert.equal(await marked('multipart/report; boundary=b', { ...toUs(''), origin: 'submission' }), undefined)
})

test('loops, long headers and long messages are refused with their own replies', async () => {
  const hops = 'Received: from a by b; Mon, 05 Jan 2026 10:00:00 +0000\r\n'.repeat(101)
  const refusals: [string, Partial<Incoming>, number][] = [
    [`${hops}\r\n`, { maxBytes: 100_000 }, 554],
    [`X: ${'y'.repeat(2000)}\r\n\r\n`, { maxBytes: 100_000 }, 552],
    [`Subject: x\r\n\r\n${'z'.repeat(2000)}`, {}, 552],
  ]
  for (const [text, overrides, code] of refusals) {
    const world = newWorld()
    const intake = intakeIn(world, { maxHeaderBytes: text.startsWith('Received') ? 100_000 : 1000 })
    await assert.rejects(
      intake.take(incoming(text, overrides)),
      (error) => error instanceof SmtpError && error.code === code,
    )
    assert.deepEqual(world.published, [])
  }
})

test('a client cannot write into our header through its HELO', async () => {
  for (const helo of ['x\r\nEvil: 1', 'a b', '(comment', `${'a'.repeat(500)}`, '']) {
    const world = newWorld()
    const client = { helo, address: '2001:db8::1', hostname: null, tls: null, protocol: 'SMTP' }
    await intakeIn(world).take(incoming(MESSAGE, { client }))
    assert.match(world.stored[0] ?? '', /^Received: from \[IPv6:2001:db8::1\] \(\[IPv6:2001:db8::1\]\)/)
  }
})

test('a client that goes away in the middle leaves nothing', async () => {
  const world = newWorld()
  async function* body(): AsyncIterable<Uint8Array> {
    yield Buffer.from('Subject: x\r\n\r\nhalf')
    throw new Error('connection lost')
  }
  await assert.rejects(intakeIn(world).take(incoming('', { body: body() })), /connection lost/)
  assert.deepEqual([world.stored, world.published], [[], []])
})
