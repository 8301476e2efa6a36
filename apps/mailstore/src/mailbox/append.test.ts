import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RequestRefused } from '@postbus/bus'
import { AccountId } from '@postbus/contracts'
import { sortKeysOf } from '@postbus/message'

import { appendMessages, type AppendPorts } from './append.ts'
import type { StoredContent } from './content.ts'

const large = { size: 9, header: new Uint8Array(0), body: null, blob: { key: 'content/large', offset: 0 } }
const content: StoredContent = {
  ...large,
  queueId: null,
  headerSize: 0,
  sort: sortKeysOf(new Uint8Array()),
  envelope: '',
  wireStructure: '',
  wireBody: '',
  structure: '',
}

function fakes(append: AppendPorts['append']) {
  const discarded: string[] = []
  const ports: AppendPorts = {
    prepare: async () => content,
    append,
    discard: async (blobs) => void discarded.push(...blobs),
    now: () => 7,
  }
  return { run: appendMessages(ports), discarded }
}

const request = {
  account: AccountId.parse('smith000'),
  name: 'INBOX',
  quotaBytes: null,
  messages: [{ blob: 'staged/1', size: 9, flags: ['\\Seen'], binary: false, internalDate: '2020-01-01T00:00:00Z' }],
}

test('what was staged goes only after the append', async () => {
  const { run, discarded } = fakes(async ({ messages }) => {
    assert.deepEqual(discarded, [])
    assert.deepEqual(
      messages.map(({ internalDate, saveDate }) => [internalDate, saveDate]),
      [[Date.UTC(2020, 0), 7]],
    )
    return { uidValidity: 1, uids: [1, 1] }
  })
  await run(request)
  assert.deepEqual(discarded, ['staged/1'])
})

test('a refused append keeps what was staged and gives back what it adopted', async () => {
  const { run, discarded } = fakes(() => Promise.reject(new RequestRefused('overQuota', 'full')))
  await assert.rejects(run(request), RequestRefused)
  assert.deepEqual(discarded, ['content/large'])
})

test('after a failure that may have been a success nothing is taken away', async () => {
  const { run, discarded } = fakes(() => Promise.reject(new Error('disk')))
  await assert.rejects(run(request), /disk/)
  assert.deepEqual(discarded, [])
})
