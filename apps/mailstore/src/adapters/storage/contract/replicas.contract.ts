/** Several processes write one mailbox: what others see meanwhile, and what is there in the end. */
import assert from 'node:assert/strict'

import { parseFlags } from '../../../mailbox/flags.ts'
import type { Delivery, MailStorage, SyncPage } from '../../../mailbox/storage.ts'
import { rangesOf, type UidRange } from '../../../mailbox/uid-ranges.ts'
import { content, delivery, MESSAGE, newQueueId, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

const PROCESSES = 3
const CLIENTS = 6
const ROUNDS = 12
const SIZE = delivery(smith).prefix.length + MESSAGE.length

export function replicasContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

  it('whoever follows a mailbox that many write sees every change once, in order, and ends with what is there', async ({
    storage,
    another,
    ok,
    inbox,
    fetch,
  }) => {
    const storages = [storage, await another(), await another()]
    const { mailbox } = await inbox()
    await ok('create', { account: smith, name: 'Other', specialUse: [] })
    const writing = Promise.all(Array.from({ length: CLIENTS }, (_, client) => useMailbox(client, storages, mailbox)))
    const view = await followed(storages, mailbox, writing)

    const marks = await writing
    const rows = (await fetch('1:*', { flags: true })) ?? []
    assert.deepEqual(
      [...view.messages].map(([uid, { modseq, flags }]) => ({ uid, modseq, flags: flags.toSorted() })).toSorted(byUid),
      rows.map(({ uid, modseq, flags = [] }) => ({ uid, modseq, flags: flags.toSorted() })),
    )
    // No update is lost: whoever was told that a message has its mark finds it there, as long as the message is.
    for (const { keyword, uids } of marks) {
      for (const uid of uids) {
        const flags = view.messages.get(uid)?.flags
        assert.ok(flags === undefined || flags.includes(keyword), `${uid} has lost ${keyword}`)
      }
    }
    await assertSound(storage)
  })

  it('several processes at one quota fill it exactly, and a message offered to all of them enters once', async ({
    storage,
    another,
    inbox,
    ok,
  }) => {
    const storages = [storage, await another(), await another()]
    await inbox()
    const room = 25
    const quotaBytes = room * SIZE + 1
    const same = Array.from({ length: 2 * room }, () => delivery(smith, { quotaBytes }))
    let most = 0
    const offer = async (on: MailStorage, deliveries: readonly Delivery[]) => {
      const kinds: string[] = []
      for (let from = 0; from < deliveries.length; from += 5) {
        const outcome = await on.write('deliver', deliveries.slice(from, from + 5))
        assert.ok(outcome.kind === 'ok')
        kinds.push(...outcome.value.map(({ kind }) => kind))
        most = Math.max(most, (await on.read('account', { account: smith }))?.usedBytes ?? 0)
      }
      return kinds
    }
    const kinds = (await Promise.all(storages.map((on) => offer(on, same)))).flat()
    assert.equal(kinds.filter((kind) => kind === 'delivered').length, room)
    assert.equal(most, room * SIZE)
    assert.deepEqual(await storage.read('account', { account: smith }), { usedBytes: room * SIZE, messages: room })
    // Appending finds the quota as full as delivering does.
    const message = { flags: parseFlags([]), internalDate: 1, saveDate: 1, content: content(MESSAGE) }
    const appended = await storage.write('append', { account: smith, name: 'INBOX', quotaBytes, messages: [message] })
    assert.equal(appended.kind === 'refused' && appended.code, 'overQuota')
    await ok('expunge', { account: smith, mailbox: (await inbox()).mailbox, uids: null, any: true })
    await assertSound(storage)
  })

  it('one message for accounts of several processes is stored once', async ({ storage, another, ok, inbox }) => {
    const storages = [storage, await another(), await another()]
    const accounts = Array.from({ length: 12 }, (_, number) => `acct${String(number).padStart(4, '0')}`)
    const ids = accounts.map((account) => account as typeof smith)
    for (let round = 0; round < 5; round++) {
      const queueIds = [newQueueId(), newQueueId(), newQueueId()]
      const deliveries = ids.flatMap((account) => queueIds.map((queueId) => delivery(account, { queueId })))
      const shares = storages.map((_, number) =>
        deliveries.filter((__, index) => index % storages.length === number).toReversed(),
      )
      const outcomes = await Promise.all(storages.map((on, number) => on.write('deliver', shares[number] ?? [])))
      const delivered = outcomes.flatMap((outcome) => (outcome.kind === 'ok' ? outcome.value : []))
      assert.equal(delivered.filter(({ kind }) => kind === 'delivered').length, deliveries.length)
      const used = delivered.filter((each) => each.kind === 'delivered' && each.contentUsed)
      assert.equal(used.length, queueIds.length)
    }
    for (const account of ids) {
      const { mailbox, messages } = await inbox(account)
      assert.equal(messages, 15)
      for (let rest: UidRange[] | null = null; rest === null || rest.length > 0;) {
        rest = (await ok('expunge', { account, mailbox, uids: rest, any: true })).rest
      }
    }
    // Shown by nobody now: contents, of which there are 15, go with the last of their emails.
    let rows = 0
    for (let step = 0; step < 20; step++) {
      const everything = { at: 1, expungedBefore: Number.MAX_SAFE_INTEGER, blobsBefore: 0, removed: [] }
      rows += (await ok('purge', everything)).rows
    }
    assert.equal(rows, 180 + 180 + 15)
  })
}

const byUid = (one: { uid: number }, other: { uid: number }): number => one.uid - other.uid

interface Mark {
  keyword: string
  /** Messages it was told to have. */
  uids: number[]
}

/** One client: each of its commands goes to another process, as a queue group hands them out. */
async function useMailbox(client: number, storages: readonly MailStorage[], mailbox: number): Promise<Mark> {
  const keyword = `$by${client}`
  const mark: Mark = { keyword, uids: [] }
  const at = { account: smith, mailbox }
  for (let round = 0; round < ROUNDS; round++) {
    const on = storages[(client + round) % PROCESSES] ?? assert.fail()
    const own = client * ROUNDS + round
    switch ((client + round) % 5) {
      case 0:
        await on.write('deliver', [delivery(smith), delivery(smith)])
        break
      case 1: {
        const flags = parseFlags(['\\Seen', keyword])
        const message = { flags, internalDate: own, saveDate: own, content: content(MESSAGE) }
        const appended = await on.write('append', { ...at, name: 'INBOX', quotaBytes: null, messages: [message] })
        assert.ok(appended.kind === 'ok')
        mark.uids.push(appended.value.uids[0])
        break
      }
      case 2: {
        const marked = { mode: 'add', flags: parseFlags([keyword, '\\Flagged']), unchangedSince: null } as const
        const stored = await on.write('store', { ...at, uids: [[1, 1000]], ...marked })
        assert.ok(stored.kind === 'ok')
        mark.uids.push(...stored.value.messages.map(({ uid }) => uid))
        break
      }
      case 3: {
        const some: UidRange[] = [[1 + own, 4 + own]]
        const copied = { ...at, uids: some, at: own, quotaBytes: null }
        await on.write('copy', { ...copied, to: client % 2 === 0 ? 'INBOX' : 'Other', move: round % 2 === 0 })
        break
      }
      default:
        await on.write('expunge', { ...at, uids: [[own, own + 1]], any: true })
    }
  }
  return mark
}

interface View {
  messages: Map<number, { modseq: number; flags: string[] }>
}

/**
 * Follows the mailbox by what changed since the last look, as a front end does, asking one process after the other; until all is
 * written and seen.
 */
async function followed(storages: readonly MailStorage[], mailbox: number, writing: Promise<unknown>): Promise<View> {
  let isWritten = false
  void writing.then(
    () => (isWritten = true),
    () => (isWritten = true),
  )
  const messages: View['messages'] = new Map()
  let [modseq, uidNext] = [0, 1]
  for (let look = 0; ; look++) {
    const isLast = isWritten
    // An adapter may answer without a turn of the event loop, which the writers need.
    await new Promise((resolve) => setImmediate(resolve))
    const on = storages[look % storages.length] ?? assert.fail()
    const page: SyncPage | null = await on.read('sync', {
      ...{ account: smith, mailbox, modseq, uid: null, vanishedAfter: modseq, limit: 10_000 },
    })
    assert.ok(page)
    assert.ok(page.highestModseq >= modseq, 'HIGHESTMODSEQ never goes back')
    assert.ok(page.uidNext >= uidNext, 'UIDNEXT never goes back')
    for (const message of page.messages) {
      const known = messages.get(message.uid)
      // A UID below what was the next one belongs to a message that was there.
      assert.ok(known !== undefined || message.uid >= uidNext, `UID ${message.uid} came after ${uidNext} was announced`)
      assert.ok(message.modseq > modseq && message.modseq <= page.highestModseq)
      messages.set(message.uid, message)
    }
    for (const [first, last] of page.vanished) for (let uid = first; uid <= last; uid++) messages.delete(uid)
    const opened = (await on.read('open', { account: smith, name: 'INBOX' })) ?? assert.fail()
    if (opened.info.highestModseq === page.highestModseq) {
      assert.deepEqual(rangesOf([...messages.keys()].toSorted((one, other) => one - other)), opened.uids)
    }
    ;({ highestModseq: modseq, uidNext } = page)
    if (isLast) return { messages }
  }
}

/** Counters, references and quota say what the messages add up to. */
async function assertSound(storage: MailStorage): Promise<void> {
  let [messages, bytes] = [0, 0]
  for (const { mailbox, name } of (await storage.read('list', { account: smith })).mailboxes) {
    const counters = (await storage.read('countersToCheck', { account: smith, mailbox })) ?? assert.fail()
    const { said, counted, strayKeywords } = counters
    const exact = ({ messages: count, unseen, deleted, size }: typeof said) => ({ count, unseen, deleted, size })
    assert.deepEqual(exact(said), exact(counted), name)
    assert.equal(strayKeywords, 0)
    messages += counted.messages
    bytes += counted.size
  }
  const account = (await storage.read('accountToCheck', { account: smith })) ?? assert.fail()
  assert.deepEqual(account.said, { messages, usedBytes: bytes })
  assert.equal(account.wrongReferences, 0)
}
