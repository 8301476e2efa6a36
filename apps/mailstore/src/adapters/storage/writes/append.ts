import { DELETED, foldKeyword, SEEN } from '../../../mailbox/flags.ts'
import { type MailDatabase, Refused, type StorageLimits, type WriteOperation } from '../operation.ts'
import { internKeywords, mailboxByName, saveMailbox, spend, usedBytes } from '../tables.ts'
import { inserts } from './insert.ts'

const NO_PREFIX = new Uint8Array(0)

/** All of the messages or none — RFC 3502 §6.3.11. */
export function append(db: MailDatabase, limits: StorageLimits): WriteOperation<'append'> {
  const insert = inserts(db)
  const addKeyword = db.prepare<{ mailbox: number; uid: number; keyword: number }, unknown>((query, param) =>
    query
      .insertInto('message_keywords')
      .values({ mailbox: param('mailbox'), uid: param('uid'), keyword: param('keyword') }),
  )
  return async ({ tx, changed }, { account, name, quotaBytes, messages }) => {
    const row = await mailboxByName(tx, { account, name })
    if (row === undefined) throw new Refused('noSuchMailbox', `no mailbox ${name}`)
    const size = messages.reduce((sum, { content }) => sum + content.size, 0)
    if (quotaBytes !== null && (await usedBytes(tx, account)) + size > quotaBytes) {
      throw new Refused('overQuota', `${size} octets more are over the quota of ${quotaBytes}`)
    }
    const names = messages.flatMap(({ flags }) => flags.keywords)
    const numberOf =
      names.length > 0
        ? await internKeywords(tx, row.id, names, limits.maxKeywordsPerMailbox)
        : new Map<string, number>()

    const first = row.uid_next
    row.highest_modseq++
    for (const { flags, internalDate, saveDate, content } of messages) {
      const uid = row.uid_next++
      const stored = await insert.content(tx, content)
      const email = await insert.email(tx, { account, content: stored, prefix: NO_PREFIX })
      await insert.message(tx, {
        mailbox: row.id,
        uid,
        modseq: row.highest_modseq,
        flags: flags.system,
        internal_date: internalDate,
        save_date: saveDate,
        size: content.size,
        email,
      })
      for (const keyword of flags.keywords) {
        const number = numberOf.get(foldKeyword(keyword))
        if (number !== undefined) await tx.run(addKeyword, { mailbox: row.id, uid, keyword: number })
      }
      row.messages++
      if ((flags.system & SEEN) === 0) row.unseen++
      if (flags.system & DELETED) row.deleted++
    }
    row.size += size
    changed(await saveMailbox(tx, row))
    await spend(tx, account, size, messages.length)
    return { uidValidity: row.uid_validity, uids: [first, row.uid_next - 1] }
  }
}
