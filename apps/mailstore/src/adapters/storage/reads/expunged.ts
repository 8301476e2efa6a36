import { systemFlagNames } from '../../../mailbox/flags.ts'
import type { ReadOperation } from '../operation.ts'

export const expunged: ReadOperation<'expunged'> = async ({ query }, { account, mailbox, since, after, limit }) => {
  const rows = await query
    .selectFrom('expunged')
    .leftJoin('emails', 'emails.id', 'expunged.email')
    .leftJoin('contents', 'contents.id', 'emails.content')
    .select(['expunged.id', 'mailbox_name', 'uid', 'at', 'flags', 'keywords', 'internal_date', 'expunged.size'])
    .select('contents.structure')
    .where('expunged.account', '=', account)
    .where('expunged.id', '>', after)
    .where('at', '>=', since)
    .$if(mailbox !== null, (select) => select.where('mailbox_name', '=', mailbox ?? ''))
    .orderBy('expunged.id')
    .limit(limit)
    .execute()
  return rows.map(({ mailbox_name: name, internal_date: internalDate, flags, keywords, ...row }) => ({
    ...row,
    mailbox: name,
    internalDate,
    // Our own column: written by keepExpunged.
    flags: [...systemFlagNames(flags), ...(JSON.parse(keywords) as string[])],
  }))
}
