import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MailOut } from '@postbus/contracts'

import { taskTo } from '../../test/samples.ts'
import { classifier } from './classify.ts'
import { deliver, type RecipientOutcome } from './deliver.ts'
import type { Destination, Host } from './destination.ts'
import type { Content, Form } from './fit.ts'
import { type Answer, type Session, SessionFailed, TlsMissing, type Transaction } from './session.ts'

const host = (name: string): Host => ({ name, address: '192.0.2.1', port: 25 })
const accepted: Answer = { kind: 'accepted', reply: '250 ok' }
const refused = (text: string, to: 'MAIL' | 'RCPT' | 'DATA' = 'RCPT'): Answer => ({
  kind: 'refused',
  reply: { to, text },
})
const broken = (afterDot: boolean): Answer => ({ kind: 'broken', reason: 'connection lost', afterDot })

interface FakeHost {
  /** Answers to each transaction in turn, by forward-path; who is not named is accepted. */
  transactions?: Record<string, Answer>[]
  fails?: Error
  offers?: string[]
  name?: string
  maxSize?: number
  reused?: boolean
  secure?: boolean
}

/** Hosts by name, in the order of preference. */
function world(
  hosts: Record<string, FakeHost>,
  content: Content = { header8bit: false, body8bit: false },
  /** Octets of the seven-bit form; null: there is none. */
  sevenBit: number | null = null,
  maxHosts = Infinity,
) {
  const forms: Form[] = []
  let size = NaN
  const sent: { host: string; transaction: Transaction }[] = []
  const opened: string[] = []
  const destination: Destination = { kind: 'hosts', hosts: Object.keys(hosts).map(host) }
  const turns = new Map<string, number>()
  const ports = {
    destination: async (): Promise<Destination> => destination,
    async open({ name }: Host, { fresh }: { fresh: boolean }): Promise<Session> {
      opened.push(fresh ? `${name} anew` : name)
      const fake = hosts[name] ?? {}
      if (fake.fails) throw fake.fails
      const { offers = ['8BITMIME', 'SMTPUTF8', 'DSN'], maxSize = 0, secure = false } = fake
      return {
        peer: { name: fake.name ?? name, secure, offers: (extension) => offers.includes(extension), maxSize },
        reused: fake.reused === true && !fresh,
        async send(transaction) {
          sent.push({ host: name, transaction })
          const turn = turns.get(name) ?? 0
          turns.set(name, turn + 1)
          const answers = fake.transactions?.[turn] ?? {}
          return transaction.recipients.map(({ forwardPath }) => answers[forwardPath] ?? answers['*'] ?? accepted)
        },
        release() {},
      }
    },
    message: {
      content: async () => content,
      sevenBit: async () => (sevenBit === null ? { impossible: 'signed' } : null),
      sizeOf: async (form: Form) => (form === 'asIs' ? size : (sevenBit ?? NaN)),
      read(form: Form) {
        forms.push(form)
        return (async function* () {})()
      },
    },
    classify: classifier(),
    hasTime: () => opened.length < maxHosts,
    isOurselves: (name: string) => name === 'mx.example.org',
  }
  const run = async (...tasks: [MailOut, ...MailOut[]]) => {
    size = tasks[0].size
    const { outcomes } = await deliver(tasks, ports)
    assert.equal(outcomes.size, tasks.length)
    return tasks.map((task) => brief(outcomes.get(task)))
  }
  return { sent, opened, forms, ports, run }
}

function brief(outcome: RecipientOutcome | undefined): string {
  if (outcome === undefined) return 'nothing'
  return outcome.kind === 'relayed' ? `relayed ${outcome.mxHost}` : `${outcome.kind} ${outcome.status}`
}

test('recipients of one message share a transaction, and each has an outcome of its own', async () => {
  const { run, sent } = world({
    a: { transactions: [{ 'no@far.test': refused('550 5.1.1 no'), 'wait@far.test': refused('450 4.2.0 w') }] },
  })
  const outcomes = await run(taskTo('yes@far.test'), taskTo('no@far.test'), taskTo('wait@far.test'))
  assert.deepEqual(outcomes, ['relayed a', 'failed 5.1.1', 'deferred 4.2.0'])
  assert.equal(sent.length, 1)
})

test('a host that cannot be spoken to, or says later, leaves the next one to try', async () => {
  const { run, opened } = world({
    a: { fails: new SessionFailed('refused', {}) },
    b: { fails: new SessionFailed('greeting', { reply: '554 5.3.2 go away' }) },
    c: { transactions: [{ '*': refused('451 4.3.0 later') }] },
    d: {},
    e: {},
  })
  assert.deepEqual(await run(taskTo('x@far.test')), ['relayed d'])
  assert.deepEqual(opened, ['a', 'b', 'c', 'd'])
})

test('only the recipients that are open go to the next host', async () => {
  const { run, sent } = world({
    a: { transactions: [{ 'no@far.test': refused('550 5.1.1 no'), 'wait@far.test': refused('450 4.2.0 w') }] },
    b: {},
  })
  assert.deepEqual(await run(taskTo('yes@far.test'), taskTo('no@far.test'), taskTo('wait@far.test')), [
    'relayed a',
    'failed 5.1.1',
    'relayed b',
  ])
  assert.deepEqual(
    sent.map(({ transaction }) => transaction.recipients.map(({ forwardPath }) => forwardPath)),
    [['yes@far.test', 'no@far.test', 'wait@far.test'], ['wait@far.test']],
  )
})

test('when no host can be spoken to the message waits', async () => {
  const cases: [FakeHost, string][] = [
    [{ fails: new SessionFailed('refused', {}) }, 'deferred 4.4.1'],
    // RFC 5321 §4.2.1 is about replies to commands; a host that greets with 5yz may do better tomorrow.
    [{ fails: new SessionFailed('greeting', { reply: '554 5.3.2 go away' }) }, 'deferred 4.3.2'],
    [{ transactions: [{ '*': refused('421 4.3.2 closing') }] }, 'deferred 4.3.2'],
    [{ transactions: [{ '*': broken(false) }] }, 'deferred 4.4.2'],
  ]
  for (const [fake, outcome] of cases) assert.deepEqual(await world({ a: fake }).run(taskTo('x@far.test')), [outcome])
})

test('a site with many dead hosts is given up for now when the time for it is over', async () => {
  const dead = { fails: new SessionFailed('no connection in time', {}) }
  const { run, opened } = world({ a: dead, b: dead, c: dead, d: {} }, undefined, undefined, 2)
  assert.deepEqual(await run(taskTo('x@far.test')), ['deferred 4.4.1'])
  assert.deepEqual(opened, ['a', 'b'])
})

test('after the final dot without an answer no other host is tried', async () => {
  const { run, opened } = world({ a: { transactions: [{ '*': broken(true) }] }, b: {} })
  assert.deepEqual(await run(taskTo('x@far.test')), ['deferred 4.4.2'])
  assert.deepEqual(opened, ['a'])
})

test('a session that was closed while it waited is opened anew, once', async () => {
  const stale = world({ a: { reused: true, transactions: [{ '*': broken(false) }] } })
  assert.deepEqual(await stale.run(taskTo('x@far.test')), ['relayed a'])
  assert.deepEqual(stale.opened, ['a', 'a anew'])
  const told = world({ a: { reused: true, transactions: [{ '*': refused('421 4.4.2 idle too long', 'MAIL') }] } })
  assert.deepEqual(await told.run(taskTo('x@far.test')), ['relayed a'])
  const taken = world({ a: { reused: true, transactions: [{ '*': broken(true) }] } })
  assert.deepEqual(await taken.run(taskTo('x@far.test')), ['deferred 4.4.2'])
  assert.deepEqual(taken.opened, ['a'])
})

test('recipients that did not fit go into another transaction at once', async () => {
  const crowded = refused('452 4.5.3 too many recipients')
  const { run, sent } = world({
    a: { transactions: [{ 'b@far.test': crowded, 'c@far.test': crowded }, { 'c@far.test': crowded }] },
  })
  assert.deepEqual(await run(taskTo('a@far.test'), taskTo('b@far.test'), taskTo('c@far.test')), [
    'relayed a',
    'relayed a',
    'relayed a',
  ])
  assert.equal(sent.length, 3)
})

test('mail that would come back to us fails', async () => {
  const { run, sent } = world({ a: { name: 'mx.example.org' } })
  assert.deepEqual(await run(taskTo('x@far.test')), ['failed 5.4.6'])
  assert.equal(sent.length, 0)
})

test('what names alone decide needs no host', async () => {
  const { ports } = world({})
  const cases: [() => Promise<Destination>, string][] = [
    [async () => ({ kind: 'impossible', status: '5.1.10', reason: 'null MX' }), 'failed 5.1.10'],
    [async () => ({ kind: 'temporary', status: '4.4.4', reason: 'no address' }), 'deferred 4.4.4'],
    [() => Promise.reject(new Error('SERVFAIL')), 'deferred 4.4.3'],
  ]
  for (const [destination, outcome] of cases) {
    const task = taskTo('x@far.test')
    const { outcomes } = await deliver([task], { ...ports, destination })
    assert.equal(brief(outcomes.get(task)), outcome)
  }
})

test('nothing is sent that the peer does not take', async () => {
  const eightBit = { header8bit: true, body8bit: true }
  const sevenBit = { header8bit: false, body8bit: false }
  const cases: [string, object, FakeHost, Content, string][] = [
    ['8BITMIME to a seven-bit host', { body: '8BITMIME' }, { offers: [] }, eightBit, 'failed 5.6.3'],
    ['declared 8BITMIME and seven bits', { body: '8BITMIME' }, { offers: [] }, sevenBit, 'relayed a'],
    ['UTF-8 header', { smtputf8: true }, { offers: ['8BITMIME'] }, eightBit, 'failed 5.6.9'],
    ['declared SMTPUTF8 and no use of it', { smtputf8: true }, { offers: ['8BITMIME'] }, sevenBit, 'relayed a'],
    ['UTF-8 recipient', { forwardPath: 'jürgen@far.test' }, { offers: [] }, sevenBit, 'failed 5.6.7'],
    ['UTF-8 domain only', { forwardPath: 'x@bücher.test' }, { offers: [] }, sevenBit, 'relayed a'],
    ['UTF-8 sender', { reversePath: 'jürgen@example.org' }, { offers: [] }, sevenBit, 'failed 5.6.7'],
    ['too large', { size: 1001 }, { maxSize: 1000 }, sevenBit, 'failed 5.3.4'],
    ['REQUIRETLS without', { requireTls: true }, { offers: [], secure: true }, sevenBit, 'failed 5.7.30'],
    ['REQUIRETLS in the clear', { requireTls: true }, { offers: ['REQUIRETLS'] }, sevenBit, 'failed 5.7.30'],
    ['REQUIRETLS', { requireTls: true }, { offers: ['REQUIRETLS'], secure: true }, sevenBit, 'relayed a'],
    ['no TLS to be had', { requireTls: true }, { fails: new TlsMissing('none') }, sevenBit, 'deferred 4.7.10'],
  ]
  for (const [name, changes, fake, content, outcome] of cases) {
    assert.deepEqual(await world({ a: fake }, content).run(taskTo('x@far.test', changes)), [outcome], name)
  }
})

test('nothing is said to anybody while nobody can say how to sign it', async () => {
  const { ports, sent } = world({ a: {} })
  const message = { ...ports.message, sizeOf: () => Promise.reject(new Error('no keys to be had')) }
  await assert.rejects(deliver([taskTo('x@far.test')], { ...ports, message }), /no keys/)
  assert.deepEqual(sent, [])
})

test('what is known of some recipients is told though the message cannot be read for the others', async () => {
  const { ports } = world({ a: { transactions: [{ 'later@far.test': refused('451 4.3.0 later') }] }, b: {} })
  let asked = 0
  const sizeOf = () => (asked++ === 0 ? Promise.resolve(100) : Promise.reject(new Error('the disk is gone')))
  const tasks = [taskTo('x@far.test'), taskTo('later@far.test')] as const
  const { outcomes } = await deliver(tasks, { ...ports, message: { ...ports.message, sizeOf } })
  assert.deepEqual(
    tasks.map((task) => brief(outcomes.get(task))),
    ['relayed a', 'deferred 4.3.0'],
  )
})

test('eight bits go to a seven-bit host converted, with the size that they have then', async () => {
  const eightBit = { header8bit: false, body8bit: true }
  const task = taskTo('x@far.test', { body: '8BITMIME', size: 100 })
  const { run, sent, forms } = world(
    { a: { offers: [], transactions: [{ '*': refused('450 w') }] }, b: {} },
    eightBit,
    150,
  )
  assert.deepEqual(await run(task), ['relayed b'])
  assert.deepEqual(
    sent.map(({ transaction }) => [transaction.size, transaction.body8bit]),
    [
      [150, false],
      [100, true],
    ],
  )
  assert.deepEqual(forms, ['sevenBit', 'asIs'])
  assert.deepEqual(await world({ a: { offers: [], maxSize: 149 } }, eightBit, 150).run(task), ['failed 5.3.4'])
})

test('a host that lacks something leaves the others to try', async () => {
  const { run } = world({ a: { offers: [] }, b: {} }, { header8bit: true, body8bit: true })
  assert.deepEqual(await run(taskTo('jürgen@far.test', { smtputf8: true })), ['relayed b'])
  const waiting = world(
    { a: { fails: new SessionFailed('refused', {}) }, b: { offers: [] } },
    { header8bit: true, body8bit: true },
  )
  assert.deepEqual(await waiting.run(taskTo('jürgen@far.test', { smtputf8: true })), ['deferred 4.4.1'])
})

test('parameters go to those who take them', async () => {
  const task = taskTo('jürgen@bücher.test', {
    ...{ envid: 'E1', ret: 'HDRS', smtputf8: true, body: '8BITMIME' },
    original: { forwardPath: 'x@y.test', notify: ['SUCCESS', 'FAILURE'], orcpt: 'utf-8;jürgen@bücher.test' },
  })
  const all = world({ a: {} })
  await all.run(task)
  const [rich] = all.sent
  assert.deepEqual(rich?.transaction.recipients, [
    {
      forwardPath: 'jürgen@bücher.test',
      parameters: 'NOTIFY=SUCCESS,FAILURE ORCPT=utf-8;j\\x{FC}rgen@b\\x{FC}cher.test',
    },
  ])
  assert.deepEqual([rich?.transaction.envid, rich?.transaction.ret, rich?.transaction.smtputf8], ['E1', 'HDRS', true])
  const none = world({ a: { offers: [] } })
  await none.run({ ...task, forwardPath: 'x@bücher.test' })
  const [poor] = none.sent
  assert.deepEqual(poor?.transaction.recipients, [{ forwardPath: 'x@xn--bcher-kva.test', parameters: '' }])
  assert.deepEqual(
    [poor?.transaction.envid, poor?.transaction.smtputf8, poor?.transaction.body8bit],
    [undefined, false, false],
  )
})

test('a host that says for good before MAIL that it takes none leaves the others to try', async () => {
  const never = { fails: new SessionFailed('greeting', { reply: '521 5.3.2 no mail here' }) }
  assert.deepEqual(await world({ a: never, b: {} }).run(taskTo('x@far.test')), ['relayed b'])
  assert.deepEqual(await world({ a: never }).run(taskTo('x@far.test')), ['failed 5.3.2'])
  const away = { fails: new SessionFailed('refused', {}) }
  assert.deepEqual(await world({ a: away, b: never }).run(taskTo('x@far.test')), ['deferred 4.4.1'])
})

test('what a transaction found out of its site is told with the outcomes', async () => {
  const away = { fails: new SessionFailed('refused', {}) }
  const crowd = { fails: new SessionFailed('greeting', { reply: '421 4.7.0 too many connections' }) }
  const cases: [string, Record<string, FakeHost>, string, object?][] = [
    ['accepted', { a: {} }, 'well'],
    ['a recipient refused', { a: { transactions: [{ '*': refused('550 5.1.1 no') }] } }, 'well'],
    ['greylisted', { a: { transactions: [{ '*': refused('450 4.7.1 greylisted') }] } }, 'well'],
    ['one host of two is away', { a: away, b: {} }, 'well'],
    ['all are away', { a: away, b: away }, 'trouble'],
    ['lost in the middle', { a: { transactions: [{ '*': broken(false) }] } }, 'trouble'],
    ['421', { a: { transactions: [{ '*': refused('421 4.3.2 closing') }] } }, 'trouble'],
    ['a greeting of 554', { a: { fails: new SessionFailed('', { reply: '554 5.7.1 listed' }) } }, 'trouble'],
    ['too many connections', { a: crowd }, 'busy'],
    ['too many connections, then taken by another', { a: crowd, b: {} }, 'busy'],
    ['throttled', { a: { transactions: [{ '*': refused('451 4.7.500 Server busy') }] } }, 'busy'],
    [
      'no TLS to be had, and the message wants it',
      { a: { fails: new TlsMissing('none') } },
      'well',
      { requireTls: true },
    ],
    ['no TLS to be had, and the way there wants it', { a: { fails: new TlsMissing('none') } }, 'trouble'],
  ]
  for (const [name, hosts, kind, changes] of cases) {
    const { news } = await deliver([taskTo('x@far.test', changes)], world(hosts).ports)
    assert.equal(news.kind, kind, name)
  }
})

test('a site that DNS cannot tell is in trouble; a name that cannot be is an answer', async () => {
  const { ports } = world({})
  const task = taskTo('x@far.test')
  const fails = await deliver([task], { ...ports, destination: () => Promise.reject(new Error('SERVFAIL')) })
  assert.equal(fails.news.kind, 'trouble')
  const impossible: Destination = { kind: 'impossible', status: '5.1.10', reason: 'null MX' }
  const never = await deliver([task], { ...ports, destination: async () => impossible })
  assert.equal(never.news.kind, 'well')
})
