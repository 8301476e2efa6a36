/**
 * Many deliveries, one transaction. The delivery key is looked at in the same transaction that writes it: whatever two
 * processes do at once, a message enters an account once.
 */
import { INBOX } from '../../../mailbox/names.ts'
import type { Delivered, Delivery } from '../../../mailbox/storage.ts'
import type { MailDatabase, StorageLimits, WriteContext, WriteOperation } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { mailboxByName, type MailboxRow, saveMailbox, spend, usedBytes } from '../tables.ts'
import { prepareAccount } from './accounts.ts'
import { inserts } from './insert.ts'

/** What the batch has done to one account so far; written once at the end. */
interface AccountInBatch {
  inbox: MailboxRow
  usedBytes: number
  addedBytes: number
  added: number
}

export function deliver(db: MailDatabase, limits: StorageLimits): WriteOperation<'deliver'> {
  const insert = inserts(db)
  const prepare = prepareAccount(db, limits)
  const findDelivery = db.prepare<{ queueId: string; account: string }, { uid: number }>((query, param) =>
    query
      .selectFrom('deliveries')
      .select('uid')
      .where('queue_id', '=', param('queueId'))
      .where('account', '=', param('account')),
  )
  const writeDelivery = db.prepare<Tables['deliveries'], unknown>((query, param) =>
    query.insertInto('deliveries').values({
      queue_id: param('queue_id'),
      account: param('account'),
      mailbox: param('mailbox'),
      uid: param('uid'),
      at: param('at'),
    }),
  )
  const findContent = db.prepare<{ queueId: string }, { id: number; size: number }>((query, param) =>
    query.selectFrom('contents').select(['id', 'size']).where('queue_id', '=', param('queueId')),
  )
  const contentSize = db.prepare<{ id: number }, { size: number }>((query, param) =>
    query.selectFrom('contents').select('size').where('id', '=', param('id')),
  )

  async function open(context: WriteContext, account: Delivery['account']): Promise<AccountInBatch> {
    await prepare(context, { account })
    const inbox = await mailboxByName(context.tx, { account, name: INBOX })
    if (inbox === undefined) throw new Error(`account ${account} has no INBOX`)
    return { inbox, usedBytes: await usedBytes(context.tx, account), addedBytes: 0, added: 0 }
  }

  async function one({ tx }: WriteContext, delivery: Delivery, into: AccountInBatch): Promise<Delivered> {
    const { account, queueId, prefix, content, at } = delivery
    if (await tx.first(findDelivery, { queueId, account })) return { kind: 'repeat' }

    const stored = typeof content === 'number' ? await tx.first(contentSize, { id: content }) : content
    if (stored === undefined) return { kind: 'contentGone' }
    const size = prefix.length + stored.size
    if (delivery.quotaBytes !== null && into.usedBytes + size > delivery.quotaBytes) {
      return { kind: 'overQuota', usedBytes: into.usedBytes }
    }

    // Another recipient's delivery may have stored the same message since the bytes were read.
    const present = typeof content === 'number' ? content : (await tx.first(findContent, { queueId }))?.id
    const contentUsed = present === undefined && typeof content !== 'number'
    let shown = present
    if (shown !== undefined) await insert.shareContent(tx, shown)
    else if (typeof content !== 'number') shown = await insert.content(tx, content)
    if (shown === undefined) return { kind: 'contentGone' }

    const { inbox } = into
    const uid = inbox.uid_next++
    const email = await insert.email(tx, { account, content: shown, prefix })
    const dates = { internal_date: at, save_date: at }
    await insert.message(tx, {
      mailbox: inbox.id,
      uid,
      modseq: ++inbox.highest_modseq,
      flags: 0,
      ...dates,
      size,
      email,
    })
    await tx.run(writeDelivery, { queue_id: queueId, account, mailbox: inbox.id, uid, at })
    inbox.messages++
    inbox.unseen++
    inbox.size += size
    into.usedBytes += size
    into.addedBytes += size
    into.added++
    return { kind: 'delivered', mailbox: inbox.id, uid, contentUsed }
  }

  return async (context, deliveries) => {
    const accounts = new Map<string, AccountInBatch>()
    const results: Delivered[] = []
    for (const delivery of deliveries) {
      const known = accounts.get(delivery.account)
      const into = known ?? (await open(context, delivery.account))
      if (known === undefined) accounts.set(delivery.account, into)
      results.push(await one(context, delivery, into))
    }
    for (const [account, { inbox, addedBytes, added }] of accounts) {
      if (added === 0) continue
      context.changed(await saveMailbox(context.tx, inbox))
      await spend(context.tx, account, addedBytes, added)
    }
    return results
  }
}
