/** SORT and THREAD, as every storage adapter must. What keys a header has is tested in libs/message. */
import assert from 'node:assert/strict'

import type { SortCriterion } from '@postbus/contracts'
import { sortKeysOf, type SortKeys } from '@postbus/message'

import type { ThreadAlgorithm } from '../../../mailbox/storage.ts'
import { content, type Helpers, type OpenStorage, smith, suiteOf } from './suite.contract.ts'

const SECOND = 1000

/** One after the other: `at` is the internal date in seconds. */
async function append({ ok }: Helpers, at: number, keys: Partial<SortKeys>, text = ''): Promise<void> {
  const sort = { ...sortKeysOf(new Uint8Array()), ...keys }
  const message = {
    flags: { system: 0, keywords: [] },
    internalDate: at * SECOND,
    saveDate: 0,
    content: content(`Subject: x\r\n\r\n${text}`, { sort }),
  }
  await ok('append', { account: smith, name: 'INBOX', quotaBytes: null, messages: [message] })
}

function asking({ storage, inbox }: Helpers) {
  const at = async () => ({ account: smith, mailbox: (await inbox()).mailbox })
  return {
    async sorted(criteria: SortCriterion[], uids: [number, number][] = [[1, 1000]]): Promise<string> {
      const found = await storage.read('sort', { ...(await at()), uids, criteria })
      return [...(found ?? assert.fail())].join(' ')
    },
    async threaded(algorithm: ThreadAlgorithm, uids: [number, number][] = [[1, 1000]]): Promise<string> {
      const found = await storage.read('thread', { ...(await at()), uids, algorithm })
      assert.ok(found?.kind === 'threads')
      return found.pieces.join('')
    },
  }
}

const by = (criterion: SortCriterion['by'], reverse = false): SortCriterion => ({ by: criterion, reverse })

export function sortContract(adapter: string, open: OpenStorage): void {
  const it = suiteOf(adapter, open)

  it('each criterion decides where those before it do not, and the mailbox at last', async (helpers) => {
    await helpers.inbox()
    await append(helpers, 30, { subject: 'B', from: 'X', sentAt: 1 * SECOND })
    await append(helpers, 20, { subject: 'A', from: 'X', displayFrom: 'Q' }, 'longest')
    await append(helpers, 10, { subject: 'B', from: 'W', sentAt: 25 * SECOND }, 'long')
    await append(helpers, 10.5, { subject: '', to: 'U', cc: 'C', displayTo: 'D' })
    const { sorted } = asking(helpers)
    assert.equal(await sorted([by('subject')]), '4 2 1 3')
    assert.equal(await sorted([by('subject', true)]), '1 3 2 4')
    assert.equal(await sorted([by('from'), by('subject', true)]), '4 3 1 2')
    assert.equal(await sorted([by('arrival')]), '3 4 2 1', 'dates of one second are equal')
    assert.equal(await sorted([by('date')]), '1 4 2 3', 'without a Date the internal date counts')
    assert.equal(await sorted([by('size', true)]), '2 3 1 4')
    assert.equal(await sorted([by('to', true)]), '4 1 2 3')
    assert.equal(await sorted([by('cc', true), by('displayFrom', true)]), '4 2 1 3')
    assert.equal(await sorted([by('displayTo', true)]), '4 1 2 3')
    assert.equal(await sorted([by('subject')], [[1, 1], [3, 4]]), '4 1 3') // prettier-ignore
    assert.equal(await sorted([by('subject')], []), '')
  })

  it('internal dates of one second are equal where there is no Date, too', async (helpers) => {
    await helpers.inbox()
    await append(helpers, 10.7, { subject: 'A' })
    await append(helpers, 10.2, { subject: 'B' })
    await append(helpers, 9, { subject: 'C', sentAt: 10 * SECOND })
    const { sorted, threaded } = asking(helpers)
    assert.equal(await sorted([by('date')]), '1 2 3')
    assert.equal(await sorted([by('date', true)]), '1 2 3')
    assert.equal(await threaded('orderedSubject'), '(1)(2)(3)')
    assert.equal(await threaded('references'), '(1)(2)(3)')
  })

  it('text is compared octet by octet of its UTF-8', async (helpers) => {
    await helpers.inbox()
    for (const subject of ['\u{1f600}', '\uffee', 'Z', 'Ä']) await append(helpers, 1, { subject })
    assert.equal(await asking(helpers).sorted([by('subject')]), '3 4 2 1')
  })

  it('threads are of the messages asked for, copies included', async (helpers) => {
    const { mailbox } = await helpers.inbox()
    await append(helpers, 1, { messageId: '<a@x>', subject: 'S' })
    await append(helpers, 2, { messageId: '<b@x>', references: ['<a@x>'], subject: 'S', isReply: true })
    await append(helpers, 3, { messageId: '<c@x>', references: ['<a@x>', '<b@x>'], subject: 'T' })
    const { threaded } = asking(helpers)
    assert.equal(await threaded('references'), '(1 2 3)')
    assert.equal(await threaded('orderedSubject'), '(1 2)(3)')
    assert.equal(await threaded('references', [[2, 3]]), '(2 3)')
    assert.equal(await threaded('references', []), '')
    const to = { to: 'INBOX', move: false, at: 0, quotaBytes: null }
    await helpers.ok('copy', { account: smith, mailbox, uids: [[3, 3]], ...to })
    assert.equal(await threaded('references'), '(1 2 (3)(4))')
    await helpers.ok('expunge', { account: smith, mailbox, uids: [[1, 3]], any: true })
    for (let rows = 1; rows > 0;) {
      const step = await helpers.ok('purge', {
        at: 0,
        expungedBefore: Number.MAX_SAFE_INTEGER,
        blobsBefore: 0,
        removed: [],
      })
      rows = step.rows
    }
    assert.equal(await threaded('references'), '(4)')
  })

  it('a mailbox that is gone has neither', async ({ storage }) => {
    const gone = { account: smith, mailbox: 999, uids: [] }
    assert.equal(await storage.read('sort', { ...gone, criteria: [by('size')] }), null)
    assert.equal(await storage.read('thread', { ...gone, algorithm: 'references' }), null)
  })
}
