/** Searching, as every storage adapter must: SQL and looking at each message give the same answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SearchKey } from '@postbus/contracts'

import { parseFlags } from '../../../mailbox/flags.ts'
import { prepareHeld } from '../../../mailbox/prepare.ts'
import { type Candidate, matcher } from '../../../mailbox/search-program.ts'
import type { MailStorage } from '../../../mailbox/storage.ts'
import { formatUidSet, joined, type UidRange } from '../../../mailbox/uid-ranges.ts'
import { type OpenStorage, smith } from './suite.contract.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 5, 15, 12)

const messages = [
  'Subject: =?utf-8?q?Caf=C3=A9_bill?=\r\nFrom: Ann <ann@example.org>\r\nDate: Mon, 1 Jun 2026 23:30:00 -0700\r\n\r\nplease pay\r\n',
  'Subject: plain\r\nDate: 2 Jun 2026 10:00 +0000\r\nX-Empty:\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nVGhlIHF1aWNrIGJyb3duIGZveA==\r\n',
  'Subject: folded\r\n subject here\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nna=EFve long=\r\nword\r\n',
  '\r\nno header at all\r\n',
]

export function searchContract(name: string, open: OpenStorage): void {
  const it = (guarantee: string, run: (searched: Searched) => Promise<void>): void => {
    void test(`${name}: ${guarantee}`, async (t) => {
      const { storage } = await open(t)
      await run(await filled(storage))
    })
  }

  it('headers are searched decoded, unfolded and without regard to case', async ({ find }) => {
    const header = (field: string, value: string): SearchKey => ({ kind: 'header', field, value })
    assert.equal(await find(header('subject', 'CAFÉ')), '1')
    assert.equal(await find(header('Subject', 'folded subject')), '3')
    assert.equal(await find(header('x-empty', '')), '2')
    assert.equal(await find(header('from', 'ann@')), '1')
    assert.equal(await find({ kind: 'not', key: header('subject', '') }), '4')
  })

  it('bodies are searched decoded, in any transfer encoding and charset', async ({ find }) => {
    const body = (value: string): SearchKey => ({ kind: 'body', value })
    assert.equal(await find(body('QUICK BROWN')), '2')
    assert.equal(await find(body('naïve longword')), '3')
    assert.equal(await find(body('subject')), '')
    assert.equal(await find({ kind: 'text', value: 'subject' }), '1:3')
    assert.equal(await find({ kind: 'text', value: 'no header at all' }), '4')
    assert.equal(await find({ kind: 'and', keys: [body('pay'), { kind: 'text', value: 'bill' }] }), '1')
    assert.equal(await find({ kind: 'or', keys: [body('pay'), body('fox')] }), '1:2')
  })

  it('what was put in front at delivery is found like the rest of the header', async ({ storage, find }) => {
    const octets = async function* () {
      yield Buffer.from(messages[3] ?? '')
    }
    const content = await prepareHeld(octets(), (messages[3] ?? '').length, null)
    const prefix = new Uint8Array(Buffer.from('Return-Path: <bounce@example.net>\r\n'))
    const delivery = {
      account: smith,
      queueId: queueId,
      prefix,
      at: NOW,
      quotaBytes: null,
      content: { ...content, queueId },
    }
    await storage.write('deliver', [delivery])
    assert.equal(await find({ kind: 'text', value: 'BOUNCE@' }), '5')
    assert.equal(await find({ kind: 'header', field: 'return-path', value: 'bounce' }), '5')
    assert.equal(await find({ kind: 'body', value: 'bounce' }), '')
  })

  it('a sent date is the day as written, and a message without one is older than all others', async ({ find }) => {
    const sent = (is: 'before' | 'on' | 'since', date: string): SearchKey => ({ kind: 'date', of: 'sent', is, date })
    assert.equal(await find(sent('on', '2026-06-01')), '1')
    assert.equal(await find(sent('since', '2026-06-02')), '2')
    assert.equal(await find(sent('before', '2030-01-01')), '1:4')
    assert.equal(await find(sent('on', '1970-01-01')), '3:4')
    assert.equal(await find({ kind: 'not', key: sent('since', '2000-01-01') }), '3:4')
  })

  it('a program that names a MODSEQ learns the highest of what matches', async ({ storage, mailbox }) => {
    const search = (key: SearchKey) => storage.read('search', { account: smith, mailbox, key, after: 0, now: NOW })
    assert.equal((await search({ kind: 'modseq', modseq: 3 }))?.highestModseq, 5)
    assert.equal((await search({ kind: 'all' }))?.highestModseq, 0)
    assert.equal(
      await storage.read('search', { account: smith, mailbox: 999, key: { kind: 'all' }, after: 0, now: NOW }),
      null,
    )
  })

  it('SQL answers any program without text as a look at each message does', async ({ find }) => {
    const candidates = facts.map((fact) => ({ ...fact, keywords: new Set(fact.keywords) }))
    const random = seeded(42)
    for (let round = 0; round < 200; round++) {
      const key = randomProgram(random, 4)
      const expected: UidRange[] = []
      for (const candidate of candidates) {
        if (await matcher(key, NOW)(candidate)) expected.push([candidate.uid, candidate.uid])
      }
      assert.equal(await find(key), formatUidSet(joined(expected)), JSON.stringify(key))
      // The same with a text key that every message has: now each is looked at.
      assert.equal(
        await find({ kind: 'and', keys: [key, { kind: 'text', value: '' }] }),
        formatUidSet(joined(expected)),
      )
    }
  })
}

const queueId = '01J9ZK3V8Q6X4T2M7N5R1C0B9A' as NonNullable<Awaited<ReturnType<typeof prepareHeld>>['queueId']>

interface Searched {
  storage: MailStorage
  mailbox: number
  find(key: SearchKey): Promise<string>
}

const flags = [['\\Seen'], ['\\Flagged', 'Work'], ['\\Seen', '\\Deleted', '$Junk'], []]
const never = { header: async () => false, body: async () => false, text: async () => false }
const facts = flags.map((given, index) => ({
  ...never,
  uid: index + 1,
  modseq: index + 2,
  flags: parseFlags(given).system,
  keywords: parseFlags(given).keywords.map((keyword) => keyword.toLowerCase()),
  internalDate: NOW - index * DAY,
  saveDate: NOW - 10 * DAY,
  size: (messages[index] ?? '').length,
  email: index + 1,
  sentDay: ['2026-06-01', '2026-06-02', null, null][index] ?? null,
})) satisfies (Omit<Candidate, 'keywords'> & { keywords: string[] })[]

/** One APPEND each, so that each has a MODSEQ of its own; the mailbox began with 1. */
async function filled(storage: MailStorage): Promise<Searched> {
  await storage.write('prepareAccount', { account: smith })
  for (const [index, fact] of facts.entries()) {
    const octets = async function* () {
      yield Buffer.from(messages[index] ?? '', 'latin1')
    }
    const { internalDate, saveDate } = fact
    const content = await prepareHeld(octets(), fact.size, null)
    const message = { flags: parseFlags(flags[index] ?? []), internalDate, saveDate, content }
    await storage.write('append', { account: smith, name: 'INBOX', quotaBytes: null, messages: [message] })
  }
  const mailbox = (await storage.read('status', { account: smith, name: 'INBOX' }))?.mailbox ?? 0
  return {
    storage,
    mailbox,
    async find(key) {
      const found: UidRange[] = []
      for (let after: number | null = 0; after !== null;) {
        const page: Awaited<ReturnType<typeof next>> = await next(after)
        found.push(...page.uids)
        after = page.next
      }
      return formatUidSet(joined(found))

      async function next(from: number) {
        return (await storage.read('search', { account: smith, mailbox, key, after: from, now: NOW })) ?? assert.fail()
      }
    },
  }
}

/** Mulberry32: the same programs every time. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function randomProgram(random: (below: number) => number, depth: number): SearchKey {
  const one = <T>(...of: T[]): T => of[random(of.length)] ?? assert.fail()
  const several = () => Array.from({ length: 1 + random(3) }, () => randomProgram(random, depth - 1))
  const day = () => new Date(NOW - random(14) * DAY).toISOString().slice(0, 10)
  const leaves: (() => SearchKey)[] = [
    () => ({ kind: 'all' }),
    () => ({ kind: 'flag', flag: one('\\Seen', '\\deleted', '\\Flagged', 'WORK', '$junk', '$None') }),
    () => ({ kind: 'uids', uids: one('1:2', '2,4', '1:100', '7', '3', '') }),
    () => ({ kind: 'date', of: one('internal', 'sent', 'saved'), is: one('before', 'on', 'since'), date: day() }),
    () => ({ kind: 'size', is: one('larger', 'smaller'), octets: one(10, 100, 130, 1000) }),
    () => ({ kind: 'modseq', modseq: one(1, 3, 4, 9) }),
    () => ({ kind: 'emailId', id: one('M1', 'M3', 'M9', 'other') }),
    () => ({ kind: 'within', is: one('older', 'younger'), seconds: one(3600, 86_400, 200_000) }),
  ]
  const nodes: (() => SearchKey)[] = [
    () => ({ kind: 'and', keys: several() }),
    () => ({ kind: 'or', keys: several() }),
    () => ({ kind: 'not', key: randomProgram(random, depth - 1) }),
  ]
  return depth === 0 ? one(...leaves)() : one(...leaves, ...nodes, ...nodes)()
}
