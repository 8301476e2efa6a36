import { INBOX } from '../../../mailbox/names.ts'
import { Refused, type StorageLimits, type WriteOperation } from '../operation.ts'
import { mailboxByName } from '../tables.ts'
import { createLevels, renameTree } from './mailboxes.ts'
import { copy } from './copy.ts'
import { ALL_UIDS } from '../rows.ts'

/**
 * INBOX stays and its messages move (RFC 9051 §6.3.6), those below it are not affected; every other mailbox keeps its
 * number and takes everything below it along. Subscriptions name names and stay as they are.
 */
export function rename(limits: StorageLimits): WriteOperation<'rename'> {
  // Nobody is told which UIDs moved.
  const move = copy({ ...limits, maxCopiedLength: Infinity })
  return async (context, { account, from, to }) => {
    if (from !== INBOX) {
      await renameTree(context, { account, from, to }, limits)
      return null
    }
    const inbox = await mailboxByName(context.tx, { account, name: INBOX })
    if (inbox === undefined) throw new Refused('noSuchMailbox', 'no INBOX')
    if (await mailboxByName(context.tx, { account, name: to })) throw new Refused('exists', `${to} exists`)
    await createLevels(context, { account, name: to }, limits, '')
    const everything = { account, mailbox: inbox.id, uids: [...ALL_UIDS], to, quotaBytes: null, at: Date.now() }
    await move(context, { ...everything, move: true })
    return null
  }
}
