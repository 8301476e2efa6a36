/** Requests about mailboxes as such: their names, counts and quota. */
import { type Bus, RequestRefused, type Stoppable } from '@postbus/bus'
import {
  createMailbox,
  deleteMailbox,
  listMailboxes,
  mailboxStatus,
  quotaOf,
  renameMailbox,
  subscribeMailbox,
} from '@postbus/contracts'

import { creatableUses, INBOX, isBelow } from '../mailbox/names.ts'
import { named, noSuchMailbox, type Sessions } from './sessions.ts'

export function answerMailboxes(bus: Pick<Bus, 'answer'>, sessions: Sessions): Promise<Stoppable[]> {
  const { storage } = sessions
  return Promise.all([
    bus.answer(listMailboxes, async ({ token, deletedSize }) => {
      const account = await sessions.accountOf(token)
      const listed = await storage.read('list', { account })
      if (!deletedSize) return listed
      const sizes = new Map(await storage.read('deletedSizes', { account, mailbox: null }))
      const mailboxes = listed.mailboxes.map((info) => ({ ...info, deletedSize: sizes.get(info.mailbox) ?? 0 }))
      return { ...listed, mailboxes }
    }),

    bus.answer(mailboxStatus, async ({ token, name, deletedSize }) => {
      const account = await sessions.accountOf(token)
      const info = await storage.read('status', { account, name: named(name, 'noSuchMailbox') })
      if (info === null) throw noSuchMailbox()
      if (!deletedSize) return info
      const [size] = await storage.read('deletedSizes', { account, mailbox: info.mailbox })
      return { ...info, deletedSize: size?.[1] ?? 0 }
    }),

    bus.answer(createMailbox, async ({ token, name, specialUse }) => {
      const account = await sessions.accountOf(token)
      const uses = specialUse.map((use) => creatableUses.find((known) => known.toLowerCase() === use.toLowerCase()))
      const known = uses.filter((use) => use !== undefined)
      // RFC 6154 §3: refused when an attribute cannot be given; never created without it.
      if (known.length < uses.length) throw new RequestRefused('invalid', 'Not a special use a mailbox can have')
      return sessions.write('create', { account, name: named(name, 'invalid'), specialUse: [...new Set(known)] })
    }),

    bus.answer(deleteMailbox, async ({ token, name }) => {
      const account = await sessions.accountOf(token)
      const normalized = named(name, 'noSuchMailbox')
      if (normalized === INBOX) throw new RequestRefused('invalid', 'INBOX cannot be deleted')
      return { mailbox: await sessions.write('remove', { account, name: normalized }) }
    }),

    bus.answer(renameMailbox, async ({ token, from, to }) => {
      const account = await sessions.accountOf(token)
      const [source, target] = [named(from, 'noSuchMailbox'), named(to, 'invalid')]
      // It would be above itself. INBOX is no such case: it stays where it is.
      if (source !== INBOX && isBelow(target, source)) {
        throw new RequestRefused('invalid', 'A mailbox cannot move below itself')
      }
      await sessions.write('rename', { account, from: source, to: target })
      return {}
    }),

    bus.answer(subscribeMailbox, async ({ token, name, subscribed }) => {
      const account = await sessions.accountOf(token)
      await sessions.write('subscribe', { account, name: named(name, 'invalid'), subscribed })
      return {}
    }),

    bus.answer(quotaOf, async ({ token }) => {
      const account = await sessions.accountOf(token)
      const [used, limitBytes] = await Promise.all([storage.read('account', { account }), sessions.quotaOf(account)])
      return { usedBytes: used?.usedBytes ?? 0, messages: used?.messages ?? 0, limitBytes }
    }),
  ])
}
