/** What `checkAccount` found wrong is written anew from what it follows from, in the transaction that looks at that. */
import { sql } from 'kysely'

import type { Repair } from '../../../mailbox/storage.ts'
import type { WriteContext, WriteOperation } from '../operation.ts'
import { countMailboxes, countMessages, isStray, wrongReferences } from '../reads/check.ts'
import { isOneOf } from '../dialect.ts'
import { mailboxByNumber, saveMailbox } from '../tables.ts'
import { sortKeysRowOf } from './insert.ts'

type Of<Kind extends Repair['kind']> = Extract<Repair, { kind: Kind }>

export const repair: WriteOperation<'repair'> = async (context, what) => {
  switch (what.kind) {
    case 'size':
      await repairSize(context, what)
      break
    case 'structure':
      await repairStructure(context, what)
      break
    case 'counters':
      await repairCounters(context, what)
      break
    case 'account':
      await repairAccount(context, what)
  }
  return null
}

async function repairSize({ tx }: WriteContext, { uid, size, ...mailbox }: Of<'size'>): Promise<void> {
  const row = await mailboxByNumber(tx, mailbox)
  await tx.query.updateTable('messages').set({ size }).where('mailbox', '=', row.id).where('uid', '=', uid).execute()
}

async function repairStructure({ tx: { query } }: WriteContext, { content, computed }: Of<'structure'>): Promise<void> {
  await query
    .updateTable('contents')
    .set({
      header_size: computed.headerSize,
      sent_day: computed.sort.sentDay,
      envelope: computed.envelope,
      wire_structure: computed.wireStructure,
      wire_body: computed.wireBody,
      structure: computed.structure,
      header: computed.header,
    })
    .where('id', '=', content)
    .execute()
  await query
    .updateTable('sort_keys')
    .set(sortKeysRowOf(content, computed.sort))
    .where('content', '=', content)
    .execute()
  if (computed.body === null) return
  await query.updateTable('bodies').set({ bytes: computed.body }).where('content', '=', content).execute()
}

async function repairCounters(context: WriteContext, mailbox: Of<'counters'>): Promise<void> {
  const { query } = context.tx
  const row = await mailboxByNumber(context.tx, mailbox)
  await query.deleteFrom('message_keywords').where('mailbox', '=', row.id).where(isStray).execute()
  const counted = await countMessages(query, row.id)
  row.messages = counted.messages
  row.unseen = counted.unseen
  row.deleted = counted.deleted
  row.size = counted.size
  // RFC 9051 §2.3.1.1, RFC 7162 §3.1.2.1: neither ever goes back.
  row.uid_next = Math.max(row.uid_next, counted.uidNext)
  row.highest_modseq = Math.max(row.highest_modseq, counted.highestModseq)
  context.changed(await saveMailbox(context.tx, row))
}

async function repairAccount({ tx }: WriteContext, { account }: Of<'account'>): Promise<void> {
  const { query } = tx
  const wrong = await wrongReferences(query, account)
    .select(['emails.id', sql<number>`coalesce(shown.times, 0)`.as('times')])
    .execute()
  for (const [times, emails] of Map.groupBy(wrong, (email) => email.times)) {
    const ids = emails.map(({ id }) => id)
    await query
      .updateTable('emails')
      .set({ refs: times })
      .where(isOneOf(tx, 'id', ids))
      .execute()
  }
  const { messages, usedBytes } = await countMailboxes(query, account)
  await query.updateTable('accounts').set({ messages, used_bytes: usedBytes }).where('account', '=', account).execute()
}
