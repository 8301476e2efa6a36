import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import type { Row } from '@postbus/bus'
import { FlagColumns, type FetchedPage, fetchMessages, type RowsContract, syncMailbox } from '@postbus/contracts'
import { type FetchItem, MAX_NUMBER, NumberSet } from '@postbus/imap-wire'
import fc from 'fast-check'
import type { z } from 'zod'

import type { Account } from './account.ts'
import { Enabled } from './enabled.ts'
import { messagesOf } from './fetch-messages.ts'
import { fetchPlan } from './fetch-plan.ts'
import { KnownMessages } from './known-messages.ts'
import { SelectedMailbox } from './selected-mailbox.ts'

const PAGE = 3

interface State {
  modseq: number
  flags: string[]
}

/** One mailbox, its past, and what was asked of it. Pages are read at one moment each and travel for a while. */
class Mailstore implements Pick<Account, 'id' | 'rows'> {
  readonly id = 'a'
  readonly asked: string[] = []
  readonly messages = new Map<number, State>()
  readonly past = new Map<number, State[]>()
  /** How many turns of the event loop rows travel, one after the other. */
  delays: readonly number[] = [1]
  #sent = 0
  readonly #vanished: [uid: number, modseq: number][] = []
  modseq = 1
  uidNext = 1

  arrive(): void {
    this.store(this.uidNext++, [])
  }

  store(uid: number, flags: string[]): void {
    const state = { modseq: ++this.modseq, flags }
    this.messages.set(uid, state)
    this.past.getOrInsertComputed(uid, () => []).push(state)
  }

  expunge(uid: number): void {
    if (this.messages.delete(uid)) this.#vanished.push([uid, ++this.modseq])
  }

  async *rows<I extends z.ZodType, R extends z.ZodType>(
    contract: RowsContract<I, R>,
    input: (token: string) => z.input<I>,
  ): AsyncGenerator<Required<Row<z.output<R>>>, void, undefined> {
    const rows = contract.name === syncMailbox.name ? this.#sync(input('t')) : this.#fetch(input('t'))
    for await (const row of rows) {
      const turns = this.delays[this.#sent++ % this.delays.length] ?? 1
      for (let turn = 0; turn < turns; turn++) await setImmediate()
      yield { row: row as z.output<R>, bytes: [] }
    }
  }

  *#sync(input: unknown) {
    const { modseq } = syncMailbox.input.parse(input)
    this.asked.push(`sync ${modseq}`)
    const { modseq: highestModseq, uidNext } = this
    const vanished = NumberSet.from(this.#vanished.flatMap(([uid, at]) => (at > modseq ? uid : [])))
    const changed = [...this.messages].filter(([, state]) => state.modseq > modseq)
    if (!vanished.isEmpty) yield { kind: 'vanished', uids: vanished.toString() }
    for (const [uid, state] of changed) yield { kind: 'message', uid, ...state }
    yield { kind: 'now', highestModseq, uidNext, recentFrom: uidNext }
  }

  async *#fetch(input: unknown): AsyncGenerator<FetchedPage> {
    const { uids, want } = fetchMessages.input.parse(input)
    this.asked.push(`fetch ${uids}`)
    const asked = NumberSet.parse(uids)
    for (let after = 0; ;) {
      const found = [...this.messages].filter(([uid]) => uid > after && asked.has(uid)).slice(0, PAGE)
      if (found.length === 0) return
      const flags = new FlagColumns()
      for (const [, state] of found) flags.add(state.flags)
      yield {
        uids: found.map(([uid]) => uid),
        modseqs: found.map(([, { modseq }]) => modseq),
        ...(want.flags && flags.columns()),
        ...(want.structure && { structures: found.map(([uid]) => `structure ${uid}`) }),
      }
      after = found.at(-1)?.[0] ?? Infinity
      await setImmediate()
    }
  }
}

const FLAGS = [{ kind: 'flags' }] as const
const STRUCTURE = [{ kind: 'bodyStructure' }] as const
const BOTH = [...FLAGS, ...STRUCTURE]

function setting(count: number, { maxBytes = 100_000, fewest = 1 } = {}) {
  const mailstore = new Mailstore()
  for (let number = 0; number < count; number++) mailstore.arrive()
  const known = new KnownMessages({ maxBytes, fewest })
  const open = () => {
    const info = {
      ...{ mailbox: 7, mailboxId: 'F7', name: 'INBOX', uidValidity: 1, uidNext: mailstore.uidNext },
      ...{ messages: 0, unseen: 0, deleted: 0, size: 0, recent: 0, keywords: [], specialUse: [], subscribed: true },
      highestModseq: mailstore.modseq,
    }
    const uids = NumberSet.from(mailstore.messages.keys())
    return new SelectedMailbox(info, uids, { recentFrom: 1, readOnly: false, enabled: new Enabled() })
  }
  /** @returns what was told of each, by UID, ascending */
  const fetch = async (
    selected: SelectedMailbox,
    items: Parameters<typeof fetchPlan>[0],
    uids = selected.uids,
  ): Promise<Map<number, { modseq: number; flags?: string[] | undefined; structure?: string | undefined }>> => {
    const told = new Map()
    const { want } = fetchPlan(items, false)
    // Only what it asks for: the rest of an account is its token.
    const from = { account: mailstore as unknown as Account, selected, known, asText: false }
    for await (const page of messagesOf(from, { uids, want })) {
      for (const { uid, modseq, flags, structure } of page) told.set(uid, { modseq, flags, structure })
      await setImmediate()
    }
    assert.deepEqual(
      [...told.keys()],
      [...told.keys()].toSorted((a, b) => a - b),
    )
    return told
  }
  return { mailstore, known, open, fetch }
}

test('what is known is told again after asking only what happened since', async () => {
  const { mailstore, open, fetch } = setting(10)
  const selected = open()
  await fetch(selected, BOTH)
  mailstore.store(3, ['\\Seen'])
  mailstore.expunge(4)
  mailstore.arrive()
  const since = selected.modseq
  mailstore.asked.length = 0
  const told = await fetch(selected, FLAGS)
  assert.deepEqual(mailstore.asked, [`sync ${since}`])
  assert.deepEqual([...told.keys()], [1, 2, 3, 5, 6, 7, 8, 9, 10])
  assert.deepEqual(told.get(3)?.flags, ['\\Seen'])
})

test('every session of the mailbox knows it, and asks for what it does not know', async () => {
  const { mailstore, open, fetch } = setting(6)
  await fetch(open(), FLAGS)
  mailstore.arrive()
  mailstore.asked.length = 0
  assert.equal((await fetch(open(), FLAGS)).size, 7)
  assert.deepEqual(mailstore.asked.slice(1), ['fetch 7'])
  mailstore.asked.length = 0
  assert.equal((await fetch(open(), STRUCTURE)).get(7)?.structure, 'structure 7')
  assert.deepEqual(mailstore.asked, ['fetch 1:7'])
})

test('of few messages, and without memory for more, nothing is kept', async () => {
  for (const limits of [{ fewest: 11 }, { maxBytes: 0 }, { maxBytes: 500 }]) {
    const { mailstore, open, fetch } = setting(10, limits)
    const selected = open()
    await fetch(selected, FLAGS)
    await fetch(selected, FLAGS)
    assert.deepEqual(mailstore.asked, ['fetch 1:10', 'fetch 1:10'])
  }
})

test('the mailbox used last is kept longest', () => {
  const known = new KnownMessages({ maxBytes: 1000, fewest: 1 })
  const filled = (mailbox: number) => {
    const notes = known.of('a', mailbox, 1)
    for (const uid of [1, 2]) notes.learn({ uid, modseq: 1 }, [], 1)
    return notes
  }
  const [first, second] = [filled(1), filled(2)]
  assert.equal(known.of('a', 1, 1), first)
  assert.equal(known.keeps(filled(3)), true)
  assert.deepEqual([known.keeps(first), known.keeps(second)], [true, false])
})

const some = fc.nat(12)
const act = fc.oneof(
  fc.record({ kind: fc.constant('arrive' as const) }),
  fc.record({ kind: fc.constant('open' as const) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('expunge' as const), uid: some }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ kind: fc.constant('store' as const), uid: some },
      flag: fc.constantFrom('\\Seen', '\\Deleted'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      ...{ kind: fc.constant('fetch' as const), from: fc.nat(4) },
      items: fc.constantFrom<(readonly FetchItem[])[]>(FLAGS, STRUCTURE, BOTH),
    }),
  },
)
const actorsOf = fc.array(fc.array(act, { minLength: 3, maxLength: 12 }), { minLength: 3, maxLength: 5 })
const delaysOf = fc.array(fc.nat(6), { minLength: 1, maxLength: 10 })

test('whoever fetches while others change the mailbox is told nothing older than the question', async () => {
  await fc.assert(
    fc.asyncProperty(actorsOf, delaysOf, async (actors, delays) => {
      const { mailstore, open, fetch } = setting(8)
      mailstore.delays = delays

      async function expectNothingOlder(uids: NumberSet, selected: SelectedMailbox, items: readonly FetchItem[]) {
        const before = new Map(mailstore.messages)
        const told = await fetch(selected, items, uids)
        for (const uid of uids) {
          const heard = told.get(uid)
          if (heard === undefined) {
            assert.ok(!mailstore.messages.has(uid), `${uid} is there`)
            continue
          }
          assert.ok(heard.modseq >= (before.get(uid)?.modseq ?? Infinity), `${uid} as it was before the question`)
          const state = mailstore.past.get(uid)?.find(({ modseq }) => modseq === heard.modseq)
          assert.ok(state, `${uid} was never so`)
          if (items !== STRUCTURE) assert.deepEqual(heard.flags, state.flags)
          if (items !== FLAGS) assert.equal(heard.structure, `structure ${uid}`)
        }
      }

      const acting = actors.map(async (acts) => {
        let selected = open()
        for (const act of acts) {
          if (act.kind === 'arrive') mailstore.arrive()
          else if (act.kind === 'expunge') mailstore.expunge(act.uid)
          else if (act.kind === 'store' && mailstore.messages.has(act.uid)) mailstore.store(act.uid, [act.flag])
          else if (act.kind === 'fetch') {
            await expectNothingOlder(selected.uids.within(act.from, MAX_NUMBER), selected, act.items)
          } else {
            await setImmediate()
            selected = open()
          }
        }
      })
      await Promise.all(acting)
    }),
    { numRuns: 600 },
  )
})
