/** Flags, keywords and MODSEQ, and what a session learns of changes. */
import assert from 'node:assert/strict'

import { parseFlags } from '../../../mailbox/flags.ts'
import type { Reads } from '../../../mailbox/storage.ts'
import { formatUidSet, parseUidSet } from '../../../mailbox/uid-ranges.ts'
import { delivery, everythingAfter, refusal, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

export function flagsContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

  it('flags are added, removed and replaced, keywords in any case', async ({ ok, filled, inbox }) => {
    const { mailbox } = await filled(3)
    const store = async (uids: string, mode: 'add' | 'remove' | 'replace', ...flags: string[]) => {
      const input = { mailbox, account: smith, uids: parseUidSet(uids), mode, flags: parseFlags(flags) }
      const { messages } = await ok('store', { ...input, unchangedSince: null })
      return messages.map(({ uid, flags: now }) => [uid, ...now])
    }
    assert.deepEqual(await store('1:2', 'add', '\\Seen', '$Work'), [
      [1, '\\Seen', '$Work'],
      [2, '\\Seen', '$Work'],
    ])
    assert.deepEqual(await store('2:3', 'add', '$WORK', '\\deleted'), [
      [2, '\\Deleted', '\\Seen', '$Work'],
      [3, '\\Deleted', '$Work'],
    ])
    assert.deepEqual(await store('1,3', 'remove', '$work', '\\Deleted', '$never'), [[1, '\\Seen'], [3]])
    assert.deepEqual(await store('2', 'replace', '\\Draft'), [[2, '\\Draft']])
    const { unseen, deleted, keywords } = await inbox()
    assert.deepEqual({ unseen, deleted, keywords }, { unseen: 2, deleted: 0, keywords: ['$Work'] })
  })

  it('every change of a mailbox has a higher MODSEQ, and no change has none', async ({ ok, filled, inbox }) => {
    const { mailbox, highestModseq } = await filled(2)
    const seen = {
      mailbox,
      account: smith,
      uids: parseUidSet('1'),
      mode: 'add',
      flags: parseFlags(['\\Seen']),
    } as const
    const first = await ok('store', { ...seen, unchangedSince: null })
    assert.equal(first.messages[0]?.modseq, highestModseq + 1)
    assert.ok((first.messages[0]?.previousModseq ?? Infinity) <= highestModseq)
    const again = await ok('store', { ...seen, unchangedSince: null })
    assert.equal(again.messages[0]?.modseq, highestModseq + 1)
    assert.equal(again.messages[0]?.previousModseq, highestModseq + 1)
    assert.equal((await inbox()).highestModseq, highestModseq + 1)
  })

  it('a conditional store leaves alone what changed since', async ({ ok, filled }) => {
    const { mailbox, highestModseq } = await filled(3)
    const flagged = { mailbox, account: smith, mode: 'add', flags: parseFlags(['\\Flagged']) } as const
    await ok('store', { ...flagged, uids: parseUidSet('2'), unchangedSince: null })
    const result = await ok('store', {
      ...flagged,
      flags: parseFlags(['\\Answered']),
      uids: parseUidSet('1:3'),
      unchangedSince: highestModseq,
    })
    assert.deepEqual(result.conflict, [[2, 2]])
    assert.deepEqual(
      result.messages.map(({ uid }) => uid),
      [1, 3],
    )
  })

  it('a long store is done in chunks that together are all of it', async ({ ok, filled, inbox }) => {
    const { mailbox } = await filled(23)
    let rest = parseUidSet('2,4:22')
    const stored: number[] = []
    for (let chunks = 0; rest.length > 0; chunks++) {
      const input = { mailbox, account: smith, uids: rest, mode: 'add', flags: parseFlags(['\\Seen']) } as const
      const result = await ok('store', { ...input, unchangedSince: null })
      assert.ok(result.messages.length <= 10 && chunks < 4)
      stored.push(...result.messages.map(({ uid }) => uid))
      rest = result.rest
    }
    assert.deepEqual(stored, [2, ...Array.from({ length: 19 }, (_, index) => index + 4)])
    assert.equal((await inbox()).unseen, 3)
  })

  it('keywords of a mailbox are bounded', async ({ filled, storage }) => {
    const { mailbox } = await filled(1)
    const flags = parseFlags(Array.from({ length: 51 }, (_, index) => `k${index}`))
    const input = { mailbox, account: smith, uids: parseUidSet('1'), mode: 'add', flags, unchangedSince: null } as const
    assert.equal(refusal(await storage.write('store', input)), 'limit')
  })

  it('sync tells exactly what happened after a MODSEQ', async ({ ok, filled, storage }) => {
    const { mailbox, highestModseq } = await filled(5)
    const at = { mailbox, account: smith }
    await ok('store', { ...at, uids: [[2, 2]], mode: 'add', flags: parseFlags(['\\Seen']), unchangedSince: null })
    await ok('expunge', { ...at, uids: parseUidSet('1,3:4'), any: true })
    const between = (await storage.read('sync', everythingAfter(at, highestModseq + 1)))?.vanished ?? []
    assert.equal(formatUidSet(between), '1,3:4')
    await ok('deliver', [delivery(smith)])
    const page = await storage.read('sync', everythingAfter(at, highestModseq))
    assert.deepEqual(
      page?.messages.map(({ uid, flags }) => [uid, ...flags]),
      [[2, '\\Seen'], [6]],
    )
    assert.equal(formatUidSet(page?.vanished ?? []), '1,3:4')
    const nothing = await storage.read('sync', everythingAfter(at, page?.highestModseq ?? 0))
    assert.deepEqual([nothing?.messages, nothing?.vanished, nothing?.next], [[], [], null])
  })

  it('pages of sync leave nothing out', async ({ filled, storage }) => {
    const { mailbox } = await filled(25)
    const uids: number[] = []
    let from: { modseq: number; uid: number | null } | null = { modseq: 0, uid: null }
    while (from !== null) {
      const page: Reads['sync']['output'] = await storage.read('sync', {
        mailbox,
        account: smith,
        ...from,
        vanishedAfter: 0,
        limit: 10,
      })
      uids.push(...(page?.messages ?? []).map(({ uid }) => uid))
      from = page?.next ?? null
    }
    assert.deepEqual(
      uids,
      Array.from({ length: 25 }, (_, index) => index + 1),
    )
  })

  it('open shows the mailbox and its UIDs as of one moment', async ({ ok, filled, storage }) => {
    const { mailbox } = await filled(5)
    await ok('expunge', { mailbox, account: smith, uids: [[2, 2]], any: true })
    const seen = { mode: 'add', flags: parseFlags(['\\Seen']), unchangedSince: null } as const
    await ok('store', { mailbox, account: smith, uids: [[1, 3]], ...seen })
    const opened = await storage.read('open', { account: smith, name: 'INBOX' })
    assert.equal(formatUidSet(opened?.uids ?? []), '1,3:5')
    assert.equal(opened?.firstUnseen, 4)
    assert.equal(opened?.info.messages, 4)
    assert.equal(await storage.read('open', { account: smith, name: 'Nowhere' }), null)
  })

  it('\\Recent is claimed once', async ({ ok, filled, inbox, storage }) => {
    const { mailbox } = await filled(3)
    const claim = (below: number) => ok('claimRecent', { mailbox, account: smith, below })
    assert.equal((await inbox()).recent, 3)
    assert.equal(await claim(3), 1)
    assert.equal((await inbox()).recent, 1)
    assert.equal(await claim(4), 3)
    assert.equal(await claim(4), 4)
    assert.equal(await claim(2), 4)
    assert.equal((await storage.read('status', { account: smith, name: 'INBOX' }))?.recent, 0)
  })
}
