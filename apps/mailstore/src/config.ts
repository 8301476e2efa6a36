import { blobsDescription, bytesSettings } from '@postbus/blobs'
import { commonConfig } from '@postbus/service'
import { spoolDescription } from '@postbus/spool'
import { databaseSettings } from '@postbus/sql/settings'
import { z } from 'zod'

import { creatableUses, INBOX, normalizeName } from './mailbox/names.ts'

const positive = z.coerce.number().int().positive()
const MIB = 1024 ** 2

export const MailstoreConfig = z.object({
  ...commonConfig,
  ...databaseSettings,
  MAILSTORE_DATABASE: z
    .string()
    .min(1)
    .default('mailstore.sqlite')
    .describe(
      'File of the mailboxes, which several mailstore processes of one machine may share; or postgres://user:password@host:port/database, for those of many.',
    ),
  SPOOL: z.string().min(1).default('spool').describe(spoolDescription),
  BLOBS: z
    .string()
    .min(1)
    .default('blobs')
    .describe(
      `${blobsDescription} On the file system or the S3 server of SPOOL, large messages are taken over without being read.`,
    ),
  ...bytesSettings,
  MAILSTORE_MAX_IN_FLIGHT: positive
    .max(10_000)
    .default(256)
    .describe('Deliveries handled at once; those that wait for the disk together share one commit.'),
  MAILSTORE_READ_THREADS: positive
    .max(64)
    .default(2)
    .describe('Threads that read mailboxes; of two or more, one does nothing but search.'),
  MAILSTORE_CACHE_BYTES: positive
    .min(MIB)
    .default(32 * MIB)
    .describe('SQLite: page cache of each storage thread (bytes).'),
  MAILSTORE_HEADER_CACHE_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(16 * MIB)
    .describe(
      'Header fields that clients asked for, kept by each reading thread for who asks for the same again; 0: none are (bytes).',
    ),
  MAILSTORE_DEFAULT_MAILBOXES: z
    .string()
    .default('Sent=\\Sent,Drafts=\\Drafts,Trash=\\Trash,Junk=\\Junk,Archive=\\Archive')
    .transform(parseDefaults)
    .describe('Mailboxes of a new account beside INBOX: NAME or NAME=\\Use (RFC 6154), separated by commas.'),
  // RFC 9051 gives no limits; clients with a mailbox per project or per sender have some thousands.
  MAILSTORE_MAX_MAILBOXES: positive.default(10_000).describe('Mailboxes of one account.'),
  MAILSTORE_MAX_SUBSCRIPTIONS: positive.default(20_000).describe('Subscriptions of one account.'),
  MAILSTORE_MAX_KEYWORDS: positive.default(1000).describe('Different keywords in one mailbox.'),
  MAILSTORE_MAX_METADATA_ENTRIES: positive
    .max(1000)
    .default(100)
    .describe('Annotations (RFC 5464) of one mailbox, and of an account as a whole.'),
  MAILSTORE_MAX_APPEND_BYTES: positive
    .default(64 * MIB)
    .describe('Largest message a client may append (bytes); at least what submission and inbound accept.'),
  MAILSTORE_ACCOUNT_CACHE_MS: positive
    .max(3_600_000)
    .default(30_000)
    .describe('How long an answer of the directory about an account is used when no change is heard of (ms).'),
  MAILSTORE_PURGE_MS: positive.default(5000).describe('Between two looks for what nothing shows any more (ms).'),
  MAILSTORE_INDEX_MS: positive
    .max(3_600_000)
    .default(500)
    .describe('Between two looks for messages whose text is not indexed yet; until then searches read them (ms).'),
  MAILSTORE_INDEX_PERCENT: positive
    .max(100)
    .default(90)
    .describe(
      'Share of one core that indexing may take while there is something to index; on Linux only what nobody else wants (%).',
    ),
  MAILSTORE_UNDELETE_MS: z.coerce
    .number()
    .int()
    .nonnegative()
    .max(365 * 24 * 3_600_000)
    .default(7 * 24 * 3_600_000)
    .describe('Expunged messages can be restored (postbus mailbox undelete) for so long; they count no quota (ms).'),
  MAILSTORE_BLOB_GRACE_MS: positive
    .default(600_000)
    .describe('Blobs of removed messages stay so long for readers that are at it (ms).'),
  MAILSTORE_SWEEP_MS: positive.default(3_600_000).describe('Between two sweeps of the blobs (ms).'),
  MAILSTORE_STAGED_AGE_MS: positive
    .min(60_000)
    .default(6 * 3_600_000)
    .describe('Literals that sessions staged and left behind are removed when they are so old (ms).'),
  MAILSTORE_ORPHAN_AGE_MS: positive
    .min(3_600_000)
    .default(24 * 3_600_000)
    .describe(
      'Blobs that no message names, left by a crash in the middle of a delivery, are removed when they are so old (ms).',
    ),
})
export type MailstoreConfig = z.infer<typeof MailstoreConfig>

function parseDefaults(text: string, context: z.RefinementCtx): { name: string; specialUse: string }[] {
  const mailboxes = []
  for (const part of text.split(',').filter((entry) => entry !== '')) {
    const [name = '', specialUse = ''] = part.split('=')
    const normalized = normalizeName(name.trim())
    if (normalized === null || normalized === INBOX) {
      context.addIssue({ code: 'custom', message: `'${name}' is no name for a mailbox beside INBOX` })
    } else if (specialUse !== '' && !creatableUses.includes(specialUse)) {
      context.addIssue({ code: 'custom', message: `'${specialUse}' is none of ${creatableUses.join(' ')}` })
    } else {
      mailboxes.push({ name: normalized, specialUse })
    }
  }
  return mailboxes
}
