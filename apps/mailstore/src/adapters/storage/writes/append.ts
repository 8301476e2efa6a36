import { DELETED, foldKeyword, SEEN } from '../../../mailbox/flags.ts'
import type { MailboxOf } from '../../../mailbox/storage.ts'
import { type MailDatabase, Refused, type StorageLimits, type WriteContext, type WriteOperation } from '../operation.ts'
import { internKeywords, mailboxByName, mailboxByNumber, saveMailbox, spend, usedBytes } from '../tables.ts'
import { takeAway } from './expunge.ts'
import { together } from '../together.ts'
import { inserts } from './insert.ts'

const NO_PREFIX = new Uint8Array(0)

/** All of the messages or none — RFC 3502 §6.3.11; what they replace goes in the same step — RFC 8508 §3. */
export function append(db: MailDatabase, limits: StorageLimits): WriteOperation<'append'> {
  const insert = inserts(db)
  return async (context, { account, name, quotaBytes, messages, replaces }) => {
    const { tx, changed } = context
    const row = await mailboxByName(tx, { account, name })
    if (row === undefined) throw new Refused('noSuchMailbox', `no mailbox ${name}`)
    const replaced = replaces && (await leaving(tx, { account, ...replaces }))
    const size = messages.reduce((sum, { content }) => sum + content.size, 0)
    const freed = replaced?.message.size ?? 0
    if (quotaBytes !== null && (await usedBytes(tx, account)) + size - freed > quotaBytes) {
      throw new Refused('overQuota', `${size} octets more are over the quota of ${quotaBytes}`)
    }
    const names = messages.flatMap(({ flags }) => flags.keywords)
    const numberOf =
      names.length > 0
        ? await internKeywords(tx, row.id, names, limits.maxKeywordsPerMailbox)
        : new Map<string, number>()

    const first = row.uid_next
    const modseq = ++row.highest_modseq
    const stored = await insert.contents(
      tx,
      messages.map(({ content }) => ({ content, refs: 1 })),
    )
    const emails = await insert.emails(
      tx,
      stored.map(({ id }) => ({ account, content: id, prefix: NO_PREFIX })),
    )
    const rows = messages.map(({ flags, internalDate, saveDate, content }, index) => ({
      ...{ mailbox: row.id, uid: first + index, modseq, flags: flags.system, email: emails[index] ?? 0 },
      ...{ internal_date: internalDate, save_date: saveDate, size: content.size },
    }))
    const keywords = messages.flatMap(({ flags }, index) =>
      flags.keywords.flatMap((keyword) => {
        const number = numberOf.get(foldKeyword(keyword))
        return number === undefined ? [] : [{ mailbox: row.id, uid: first + index, keyword: number }]
      }),
    )
    await together<unknown>([insert.messages(tx, rows), insert.keywords(tx, keywords)])
    for (const { flags } of messages) {
      if ((flags.system & SEEN) === 0) row.unseen++
      if (flags.system & DELETED) row.deleted++
    }
    row.uid_next += messages.length
    row.messages += messages.length
    row.size += size
    changed(await saveMailbox(tx, row))
    await spend(tx, account, size, messages.length)
    if (replaced) await takeAway(context, replaced.from.id === row.id ? row : replaced.from, [replaced.message])
    return { uidValidity: row.uid_validity, uids: [first, row.uid_next - 1] }
  }
}

/** A message that is to go, and where from. @throws Refused */
async function leaving(tx: WriteContext['tx'], { uid, ...of }: MailboxOf & { uid: number }) {
  const from = await mailboxByNumber(tx, of)
  const message = await tx.query
    .selectFrom('messages')
    .select(['uid', 'flags', 'size', 'email'])
    .where('mailbox', '=', from.id)
    .where('uid', '=', uid)
    .executeTakeFirst()
  if (message === undefined) throw new Refused('noSuchMessage', `no message ${uid}`)
  return { from, message }
}
