/** Mailboxes of an account: the list, one of them, and what happened in it — RFC 9051 §6.3, RFC 7162 (MODSEQ). */
import { z } from 'zod'

import { defineRequest, defineRows } from './define.ts'
import { SessionToken } from './directory.ts'
import {
  front,
  frontOrOperator,
  UidSet,
  MailboxKey,
  MailboxName,
  Modseq,
  Uid,
  MailboxInfo,
  FlagsRow,
} from './mailstore-terms.ts'

export const listMailboxes = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.list',
  refusals: ['tokenInvalid'],
  purpose: 'Every mailbox of the account, and names subscribed to that have none. Counts are exact.',
  input: z.object({ token: SessionToken, deletedSize: z.boolean().default(false) }),
  output: z.object({ mailboxes: z.array(MailboxInfo), subscribedOnly: z.array(MailboxName) }),
})

export const mailboxStatus = defineRequest({
  ...front,
  name: 'mailstore.status',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose: 'One mailbox by name.',
  input: z.object({ token: SessionToken, name: MailboxName, deletedSize: z.boolean().default(false) }),
  output: MailboxInfo,
})

export const createMailbox = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.create',
  refusals: ['tokenInvalid', 'exists', 'invalid', 'limit'],
  purpose: 'Create a mailbox and the levels above it.',
  input: z.object({ token: SessionToken, name: MailboxName, specialUse: z.array(z.string()).default([]) }),
  output: MailboxInfo,
})

export const deleteMailbox = defineRequest({
  ...front,
  name: 'mailstore.delete',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'invalid', 'hasChildren'],
  purpose:
    'Delete a mailbox with its messages, not those below it; INBOX cannot be. `hasChildren`: the name is only a level above others.',
  input: z.object({ token: SessionToken, name: MailboxName }),
  output: z.object({ /** Which it was; release 0.1.0 does not say. */ mailbox: MailboxKey.optional() }),
})

export const renameMailbox = defineRequest({
  ...front,
  name: 'mailstore.rename',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'exists', 'invalid', 'limit'],
  purpose: 'Rename a mailbox and all below it; renaming INBOX moves its messages — RFC 9051 §6.3.6.',
  input: z.object({ token: SessionToken, from: MailboxName, to: MailboxName }),
  output: z.object({}),
})

export const subscribeMailbox = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.subscribe',
  refusals: ['tokenInvalid', 'invalid', 'limit'],
  purpose: 'Set or clear a subscription; the mailbox need not exist.',
  input: z.object({ token: SessionToken, name: MailboxName, subscribed: z.boolean() }),
  output: z.object({}),
})

/** Sent in pieces: a mailbox of a million messages with every second one expunged is a long set. */
export const openMailbox = defineRows({
  ...frontOrOperator,
  name: 'mailstore.open',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose: 'SELECT and EXAMINE: the mailbox as of one moment, then its UIDs in pieces.',
  input: z.object({ token: SessionToken, name: MailboxName, readOnly: z.boolean() }),
  row: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('mailbox'),
      info: MailboxInfo,
      /** UIDs from here on are \Recent for this session; a read-write open claims them. */
      recentFrom: Uid,
      firstUnseen: Uid.optional(),
    }),
    z.object({ kind: z.literal('uids'), uids: UidSet }),
  ]),
})

export const syncMailbox = defineRows({
  ...front,
  name: 'mailstore.sync',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose:
    'What happened in a mailbox after a MODSEQ: who vanished, whose flags changed, who came. The `now` row is last.',
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    modseq: Modseq,
    /** Also claim arrivals as \Recent. */ claimRecent: z.boolean().default(false),
    /** End before anything that vanished is told, and then without `now`. */ untilVanished: z.boolean().default(false),
  }),
  row: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('vanished'), uids: UidSet }),
    z.object({ kind: z.literal('message'), ...FlagsRow.shape }),
    z.object({ kind: z.literal('now'), highestModseq: Modseq, uidNext: Uid, recentFrom: Uid }),
  ]),
})
