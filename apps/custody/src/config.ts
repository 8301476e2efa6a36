import { bytesSettings } from '@postbus/blobs'
import { commonConfig } from '@postbus/service'
import { spoolDescription } from '@postbus/spool'
import { databaseLocation, databaseSettings } from '@postbus/sql/settings'
import { z } from 'zod'

const positive = z.coerce.number().int().positive()

/** The others hold schedules, or what has been done: they must take everything. */
const LIMIT = /^(MAIL_ACCEPTED|MAIL_LOCAL)=[1-9]\d{0,14}$/

const limitOf = (limit: string): [stream: string, octets: number] => {
  const at = limit.indexOf('=')
  return [limit.slice(0, at), Number(limit.slice(at + 1))]
}

export const CustodyConfig = z.object({
  ...commonConfig,
  CUSTODY_DATABASE: databaseLocation('data/db/custody.sqlite', 'The books'),
  SPOOL: z.string().min(1).default('data/spool').describe(spoolDescription),
  ...bytesSettings,
  ...databaseSettings,
  MAIL_HOSTNAME: z.string().min(1).describe('Our domain name in reports to senders.'),
  CUSTODY_PROVISIONER_NKEY_FILE: z
    .string()
    .optional()
    .describe("File with the provisioner's secret nkey. Without it this custody makes no streams, and another must."),
  CUSTODY_STREAM_REPLICAS: z.coerce
    .number()
    .int()
    .min(1)
    .max(5)
    .default(1)
    .describe('Copies of each stream: 1 on a single server, 3 in a cluster.'),
  CUSTODY_BUS_STORE_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The nats-server's store_dir, where it lies on this machine: what the server cannot open after a loss of power is set aside there. Without it somebody has to.",
    ),
  CUSTODY_STREAM_MAX_BYTES: z
    .string()
    .default('')
    .transform((list) => list.split(/[\s,]+/).filter((limit) => limit !== ''))
    .refine(
      (limits) => limits.every((limit) => LIMIT.test(limit)),
      'MAIL_ACCEPTED=octets and MAIL_LOCAL=octets, separated by commas',
    )
    .transform((limits) => Object.fromEntries(limits.map(limitOf)))
    .describe(
      'What these two streams may hold (octets), instead of 2 GiB each: MAIL_ACCEPTED=N,MAIL_LOCAL=N. The bus sets it aside; beyond, mail is refused with 452.',
    ),
  CUSTODY_MAX_IN_FLIGHT: positive
    .max(10_000)
    .default(512)
    .describe('Messages of MAIL_STATUS taken at once; those that arrive together share one commit.'),
  CUSTODY_LEASE_MS: positive
    .min(1000)
    .default(15_000)
    .describe("Time to live of the leader's lease (ms): how soon another takes over after a death."),
  CUSTODY_FREE_MS: positive
    .default(1000)
    .describe('Between two rounds of giving back spool records that are no longer needed (ms).'),
  CUSTODY_REPORT_MS: positive
    .default(500)
    .describe('Between two looks for what senders must be told, and for reports that came in (ms).'),
  CUSTODY_REPORT_GATHER_MS: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(10_000)
    .describe('While a message has open recipients, its failures wait this long for others to share a report (ms).'),
  CUSTODY_DELAY_REPORT: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(4 * 3600)
    .describe('The sender hears of a delay this long after the message was accepted (s); 0: never.'),
  CUSTODY_REPORT_READ_BYTES: positive
    .min(64 * 1024)
    .max(16 * 1024 * 1024)
    .default(512 * 1024)
    .describe(
      'Of a delivery report that comes in, this much is read (octets): what it says stands in front of what it returns.',
    ),
  CUSTODY_LATER_REPORTS: positive
    .max(1000)
    .default(20)
    .describe('Reports from elsewhere that are kept about one recipient.'),
  CUSTODY_RECONCILE_MS: positive.default(15_000).describe('Between two looks for what the bus may have lost (ms).'),
  CUSTODY_SCAN_MS: positive
    .default(60_000)
    .describe(
      'Between two comparisons of the spool with the books (ms); at least twenty times as long as the last one took.',
    ),
  CUSTODY_SCAN_MAX_MS: positive
    .default(900_000)
    .describe(
      'However slow the spool is, it is compared with the books after this pause (ms): until then nobody misses what was never published.',
    ),
  CUSTODY_RECORD_AGE_MS: positive
    .default(60_000)
    .describe('A spool record younger than this is taken to be on its way (ms).'),
  CUSTODY_CHECK_GAP_MS: positive
    .default(60_000)
    .describe('Between the two looks after which something counts as lost (ms).'),
  CUSTODY_OVERDUE_MS: positive
    .default(600_000)
    .describe('A recipient that has not moved for this long after it should have is looked for (ms).'),
  CUSTODY_LOOK_AGAIN_MAX_MS: positive
    .default(86_400_000)
    .describe('What waits on the bus for long is looked for ever more rarely, but at least this often (ms).'),
  CUSTODY_BOOKS_MS: positive
    .min(1000)
    .max(86_400_000)
    .default(300_000)
    .describe(
      'Between two looks at whether the books balance (ms); at least twenty times as long as the last one took.',
    ),
  CUSTODY_HISTORY: positive.default(14 * 86_400).describe('How long a finished message can still be looked up (s).'),
  CUSTODY_HISTORY_STATUSES: positive
    .min(2)
    .max(1000)
    .default(60)
    .describe('Earlier statuses kept of one recipient; of more, the first and the last half of these.'),
  CUSTODY_TOMBSTONES: positive
    .default(90 * 86_400)
    .describe('How long it is remembered that a record was freed (s); longer than anything may be restored from.'),
  CUSTODY_COMPACT_AGE: positive
    .default(3600)
    .describe('Records that wait are copied out of spool segments older than this (s).'),
  CUSTODY_SWEEP_AGE: positive.default(86_400).describe('Unfinished spool records older than this are removed (s).'),
})
export type CustodyConfig = z.infer<typeof CustodyConfig>
