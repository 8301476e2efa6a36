/** What nothing shows any more. */
import assert from 'node:assert/strict'

import { content, delivery, jones, MESSAGE, newQueueId, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

/** Later than anything was expunged. */
const NOTHING_KEPT = Number.MAX_SAFE_INTEGER

export function purgeContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

  it('what nothing shows any more is taken away, blobs after their grace', async ({ ok, filled, storage }) => {
    const { mailbox } = await filled(3)
    const queueId = newQueueId()
    const blob = { key: 'content/large', offset: 7 }
    const large = content(MESSAGE, { queueId, body: null, blob })
    await ok('deliver', [delivery(smith, { queueId, content: large }), delivery(jones, { queueId, content: large })])
    await ok('expunge', { account: smith, mailbox, uids: null, any: true })
    const purge = async (at: number) => {
      const blobs: string[] = []
      for (;;) {
        const purged = await ok('purge', { at, expungedBefore: NOTHING_KEPT, blobsBefore: at - 100, removed: [] })
        blobs.push(...purged.blobs)
        if (purged.rows === 0) return [...new Set(blobs)]
      }
    }
    assert.deepEqual(await purge(1000), [])
    assert.deepEqual(await storage.read('namedBlobs', { blobs: [blob.key, 'content/other'] }), [blob.key])
    const theirs = await storage.read('status', { account: jones, name: 'INBOX' })
    await ok('expunge', { account: jones, mailbox: theirs?.mailbox ?? 0, uids: null, any: true })
    assert.deepEqual(await purge(2000), [])
    assert.deepEqual(await purge(3000), [blob.key])
    await ok('purge', { at: 3000, expungedBefore: NOTHING_KEPT, blobsBefore: 2900, removed: [blob.key] })
    assert.deepEqual(await purge(4000), [])
    assert.deepEqual(await storage.read('namedBlobs', { blobs: [blob.key] }), [])
  })

  it('a deleted mailbox is emptied step by step', async ({ ok, filled }) => {
    const { mailbox } = await filled(3)
    await ok('create', { account: smith, name: 'old', specialUse: [] })
    await ok('copy', { mailbox, account: smith, uids: [[1, 3]], to: 'old', move: true, at: 9, quotaBytes: null })
    await ok('remove', { account: smith, name: 'old' })
    let rows = 0
    for (let steps = 0; steps < 10; steps++) {
      rows += (await ok('purge', { at: 1, expungedBefore: NOTHING_KEPT, blobsBefore: 0, removed: [] })).rows
    }
    // Three messages, the mailbox, three kept ones, three emails, three contents.
    assert.equal(rows, 13)
  })
}
