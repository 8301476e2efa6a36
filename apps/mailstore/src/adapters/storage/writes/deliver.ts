/**
 * Many deliveries, one transaction. The delivery key is looked at in the same transaction that writes it, which has the account to
 * itself: whatever two processes do at once, a message enters an account once.
 */
import type { QueueId } from '@postbus/contracts'

import type { StoredContent } from '../../../mailbox/content.ts'
import { INBOX } from '../../../mailbox/names.ts'
import type { Delivered, Delivery } from '../../../mailbox/storage.ts'
import { heldFrom, isOneOf, isOneOfTexts } from '../dialect.ts'
import type { MailDatabase, StorageLimits, WriteContext, WriteOperation } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { type MailboxRow, saveMailbox, spend } from '../tables.ts'
import { prepareAccount } from './accounts.ts'
import { together } from '../together.ts'
import { inserts } from './insert.ts'

type Tx = WriteContext['tx']

/** What the batch does to one account; written once at the end. */
interface AccountInBatch {
  inbox: MailboxRow
  usedBytes: number
  addedBytes: number
  added: number
}

/** A content that deliveries of the batch show. */
interface ContentInBatch {
  /** Null: not stored yet. */
  id: number | null
  size: number
  /** What is stored where there is none. */
  offered: StoredContent | null
  /** How many of the batch show it. */
  shown: number
  isNew: boolean
}

/** One that will be in its INBOX. */
interface Accepted {
  delivery: Delivery
  content: ContentInBatch
  mailbox: number
  uid: number
  modseq: number
  size: number
}

export function deliver(db: MailDatabase, limits: StorageLimits): WriteOperation<'deliver'> {
  const insert = inserts(db)
  const prepare = prepareAccount(db, limits)
  const writeDelivery = db.prepare<Tables['deliveries'], unknown>((query, param) =>
    query.insertInto('deliveries').values({
      queue_id: param('queue_id'),
      account: param('account'),
      mailbox: param('mailbox'),
      uid: param('uid'),
      at: param('at'),
    }),
  )
  const share = db.prepare<{ id: number; refs: number }, unknown>((query, param) =>
    query
      .updateTable('contents')
      .set((row) => ({ refs: row('refs', '+', param('refs')) }))
      .where('id', '=', param('id')),
  )

  async function accountsOf(context: WriteContext, deliveries: readonly Delivery[]) {
    const { tx } = context
    const accounts = [...new Set(deliveries.map(({ account }) => account))]
    const used = await usedByThese(tx, accounts)
    for (const account of accounts) {
      if (used.has(account)) continue
      await prepare(context, { account })
      used.set(account, 0)
    }
    const inboxes = await tx.query
      .selectFrom('mailboxes')
      .selectAll()
      .where(isOneOfTexts(tx, 'account', accounts))
      .where('name', '=', INBOX)
      .execute()
    const byAccount = new Map(inboxes.map((inbox) => [inbox.account, inbox]))
    return new Map(
      accounts.map((account): [string, AccountInBatch] => {
        const inbox = byAccount.get(account)
        if (inbox === undefined) throw new Error(`account ${account} has no INBOX`)
        return [account, { inbox, usedBytes: used.get(account) ?? 0, addedBytes: 0, added: 0 }]
      }),
    )
  }

  async function write({ tx }: WriteContext, accepted: readonly Accepted[]): Promise<void> {
    const contents = [...new Set(accepted.map(({ content }) => content))]
    const shared = contents.flatMap(({ id, shown }) => (id === null ? [] : [{ id, refs: shown }]))
    await tx.runEach(share, shared)
    // In one order everywhere, for another process may be at the same messages.
    const created = contents
      .flatMap((content) => (content.id === null && content.offered !== null ? [{ ...content, to: content }] : []))
      .sort((one, other) => ((one.offered?.queueId ?? '') < (other.offered?.queueId ?? '') ? -1 : 1))
    const stored = await insert.contents(
      tx,
      created.flatMap(({ offered, shown }) => (offered === null ? [] : [{ content: offered, refs: shown }])),
    )
    for (const [index, { to }] of created.entries()) Object.assign(to, stored[index])

    const emails = await insert.emails(
      tx,
      accepted.map(({ delivery: { account, prefix }, content }) => ({ account, prefix, content: content.id ?? 0 })),
    )
    const messages = accepted.map(({ delivery: { at }, mailbox, uid, modseq, size }, index) => {
      const dates = { internal_date: at, save_date: at }
      return { mailbox, uid, modseq, flags: 0, ...dates, size, email: emails[index] ?? 0 }
    })
    const keys = accepted.map(({ delivery: { queueId, account, at }, mailbox, uid }) => {
      return { queue_id: queueId, account, mailbox, uid, at }
    })
    await together<unknown>([insert.messages(tx, messages), tx.runEach(writeDelivery, keys)])
  }

  return async (context, deliveries) => {
    const { tx, changed } = context
    const accounts = await accountsOf(context, deliveries)
    const done = await keysOf(tx, deliveries)
    const contents = await contentsOf(tx, deliveries)

    const accepted: Accepted[] = []
    const decided = deliveries.map((delivery): Accepted | Delivered => {
      const { account, queueId, prefix, quotaBytes } = delivery
      const into = accounts.get(account)
      if (into === undefined) throw new Error(`account ${account} was not opened`)
      if (done.has(keyOf(delivery))) return { kind: 'repeat' }
      const content = contents.of(delivery)
      if (content === undefined) return { kind: 'contentGone' }
      const size = prefix.length + content.size
      if (quotaBytes !== null && into.usedBytes + size > quotaBytes) {
        return { kind: 'overQuota', usedBytes: into.usedBytes }
      }
      done.add(keyOf({ queueId, account }))
      content.shown++
      // Not that of a delivery which was refused: what was prepared for it is given back.
      if (content.id === null && typeof delivery.content !== 'number') content.offered ??= delivery.content
      const { inbox } = into
      inbox.messages++
      inbox.unseen++
      inbox.size += size
      into.usedBytes += size
      into.addedBytes += size
      into.added++
      const place = { mailbox: inbox.id, uid: inbox.uid_next++, modseq: ++inbox.highest_modseq }
      const one = { delivery, content, size, ...place }
      accepted.push(one)
      return one
    })
    if (accepted.length > 0) await write(context, accepted)
    const filled = [...accounts].filter(([, { added }]) => added > 0)
    await together(
      filled.map(async ([account, { inbox, addedBytes, added }]) => {
        const saved = saveMailbox(tx, inbox)
        await together<unknown>([saved, spend(tx, account, addedBytes, added)])
        changed(await saved)
      }),
    )
    const first = new Set<ContentInBatch>()
    return decided.map((each): Delivered => {
      if ('kind' in each) return each
      const { mailbox, uid, content, delivery } = each
      const contentUsed = content.isNew && content.offered === delivery.content && !first.has(content)
      first.add(content)
      return { kind: 'delivered', mailbox, uid, contentUsed }
    })
  }
}

const keyOf = ({ queueId, account }: { queueId: string; account: string }): string => `${queueId} ${account}`

async function usedByThese(tx: Tx, accounts: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx.query
    .selectFrom('accounts')
    .select(['account', 'used_bytes'])
    .where(isOneOfTexts(tx, 'account', accounts))
    .execute()
  return new Map(rows.map(({ account, used_bytes: used }) => [account, used]))
}

/** Those of the deliveries that have been done. */
async function keysOf(tx: Tx, deliveries: readonly Delivery[]): Promise<Set<string>> {
  const rows = await tx.query
    .selectFrom('deliveries')
    .select(['queue_id', 'account'])
    .where(isOneOfTexts(tx, 'queue_id', [...new Set(deliveries.map(({ queueId }) => queueId))]))
    .where(isOneOfTexts(tx, 'account', [...new Set(deliveries.map(({ account }) => account))]))
    .execute()
  return new Set(rows.map(({ queue_id: queueId, account }) => keyOf({ queueId, account })))
}

/** The contents that are there already, which nobody takes away until the end of the transaction. */
async function contentsOf(tx: Tx, deliveries: readonly Delivery[]) {
  const numbered = deliveries.flatMap(({ content }) => (typeof content === 'number' ? [content] : []))
  const offered = deliveries.flatMap(({ content, queueId }) => (typeof content === 'number' ? [] : [queueId]))
  const ids = new Set(numbered)
  if (offered.length > 0) {
    const some = tx.query.selectFrom('contents').select('id')
    const rows = await some.where(isOneOfTexts(tx, 'queue_id', [...new Set(offered)])).execute()
    for (const { id } of rows) ids.add(id)
  }
  const byId = new Map<number, ContentInBatch>()
  const byQueueId = new Map<string, ContentInBatch>()
  if (ids.size > 0) {
    const held = tx.query.selectFrom('contents').select(['id', 'queue_id', 'size'])
    const rows = await heldFrom(tx, held.where(isOneOf(tx, 'id', [...ids])).orderBy('id')).execute()
    for (const { id, queue_id: queueId, size } of rows) {
      const content = { id, size, offered: null, shown: 0, isNew: false }
      byId.set(id, content)
      if (queueId !== null) byQueueId.set(queueId, content)
    }
  }
  return {
    of({ content, queueId }: { content: Delivery['content']; queueId: QueueId }): ContentInBatch | undefined {
      if (typeof content === 'number') return byId.get(content)
      const there = byQueueId.get(queueId)
      if (there !== undefined) return there
      const added = { id: null, size: content.size, offered: null, shown: 0, isNew: false }
      byQueueId.set(queueId, added)
      return added
    },
  }
}
