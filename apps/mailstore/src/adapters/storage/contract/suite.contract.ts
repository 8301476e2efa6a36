/**
 * What every storage adapter must do, told as tests; here what they share. `open` gives an empty storage, `another` one more
 * on the same data, as another process has it.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { AccountId, type FetchedMessage, fetchedMessages, type MailboxInfo, QueueId } from '@postbus/contracts'
import { sortKeysOf } from '@postbus/message'

import type { StoredContent } from '../../../mailbox/content.ts'
import type { Delivery, FetchPageOf, MailboxOf, MailStorage, Outcome, Reads, Writes } from '../../../mailbox/storage.ts'
import { parseUidSet } from '../../../mailbox/uid-ranges.ts'
import { NOTHING } from '../../check-ports.ts'

export interface StorageUnderTest {
  storage: MailStorage
  another(): Promise<MailStorage>
}

export const smith = AccountId.parse('smith000')
export const jones = AccountId.parse('jones000')

let lastQueueId = 0
export const newQueueId = (): QueueId => QueueId.parse(`01J9ZK3V8Q6X4T2M7N${String(++lastQueueId).padStart(8, '0')}`)

export function content(text: string, more: Partial<StoredContent> = {}): StoredContent {
  const bytes = new Uint8Array(Buffer.from(text, 'latin1'))
  const headerSize = text.indexOf('\r\n\r\n') + 4
  return {
    queueId: null,
    size: bytes.length,
    headerSize,
    sort: sortKeysOf(bytes),
    envelope: `(envelope of ${bytes.length})`,
    wireStructure: '(extended)',
    wireBody: '(basic)',
    structure: '{}',
    header: bytes.slice(0, headerSize),
    body: bytes.slice(headerSize),
    blob: null,
    ...more,
  }
}

export const MESSAGE = 'Subject: hello\r\n\r\nhi\r\n'

export function delivery(account: AccountId, more: Partial<Delivery> = {}): Delivery {
  const queueId = more.queueId ?? newQueueId()
  const prefix = new Uint8Array(Buffer.from('Return-Path: <>\r\n'))
  return { account, queueId, prefix, at: 1000, quotaBytes: null, content: content(MESSAGE, { queueId }), ...more }
}

export type OpenStorage = (t: TestContext) => Promise<StorageUnderTest>

/** Declares tests of one adapter. */
export function suiteOf(adapter: string, open: OpenStorage) {
  return (guarantee: string, run: (with_: Helpers) => Promise<void>): void => {
    void test(`${adapter}: ${guarantee}`, async (t) => run(helpers(await open(t))))
  }
}

type Want = Partial<FetchPageOf['want']>

interface FetchedMessages {
  limit: number | undefined
  nextLimit: number
  messages: FetchedMessage[]
}

export interface Helpers extends StorageUnderTest {
  ok<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']): Promise<Writes[Kind]['output']>
  inbox(account?: AccountId): Promise<MailboxInfo>
  filled(messages: number): Promise<MailboxInfo>
  fetch(uids: string, want?: Want, from?: MailboxInfo, account?: AccountId): Promise<FetchedMessage[] | null>
  /** As the handler asks for them; null: there is no such mailbox. */
  fetchPages(at: MailboxOf, uids: string, want: Want): AsyncGenerator<FetchedMessages | null>
}

function helpers({ storage, another }: StorageUnderTest): Helpers {
  const ok: Helpers['ok'] = async (kind, input) => {
    const outcome = await storage.write(kind, input)
    assert.ok(outcome.kind === 'ok', `${kind}: ${outcome.kind === 'refused' && outcome.reason}`)
    return outcome.value
  }
  const inbox: Helpers['inbox'] = async (account = smith) => {
    await ok('prepareAccount', { account })
    return (await storage.read('status', { account, name: 'INBOX' })) ?? assert.fail('no INBOX')
  }
  const fetchPages: Helpers['fetchPages'] = async function* (at, uids, want) {
    let rest = parseUidSet(uids.replace('*', '4294967295'))
    let limit: number | undefined
    while (rest.length > 0) {
      const fetched: Reads['fetch']['output'] = await storage.read('fetch', {
        ...{ ...at, uids: rest, limit, changedSince: null },
        want: { ...NOTHING, ...want },
      })
      if (fetched === null) return yield null
      const { page, octets, nextLimit } = fetched
      yield { limit, nextLimit, messages: [...fetchedMessages(page, octets === null ? [] : [octets])] }
      rest = fetched.rest
      limit = nextLimit
    }
  }
  return {
    storage,
    another,
    ok,
    inbox,
    async filled(messages) {
      await ok(
        'deliver',
        Array.from({ length: messages }, () => delivery(smith)),
      )
      return inbox()
    },
    async fetch(uids, want = {}, from, account) {
      const { mailbox } = from ?? (await inbox())
      const owner =
        account ??
        ((await storage.read('list', { account: jones })).mailboxes.some((m) => m.mailbox === mailbox) ? jones : smith)
      const pages = await Array.fromAsync(fetchPages({ account: owner, mailbox }, uids, want))
      return pages.includes(null) ? null : pages.flatMap((page) => page?.messages ?? [])
    },
    fetchPages,
  }
}

export const everythingAfter = (at: { account: AccountId; mailbox: number }, modseq: number) => ({
  ...at,
  modseq,
  uid: null,
  vanishedAfter: modseq,
  limit: 1000,
})

export const refusal = (outcome: Outcome<unknown>): string =>
  outcome.kind === 'refused' ? outcome.code : 'not refused'
