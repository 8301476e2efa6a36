import { bytesSettings } from '@postbus/blobs'
import { dnsSettings } from '@postbus/dns'
import { commonConfig } from '@postbus/service'
import { spoolDescription } from '@postbus/spool'
import { databaseLocation, databaseSettings } from '@postbus/sql/settings'
import { z } from 'zod'

import { parseSourcePools } from './adapters/source-pools.ts'
import { ADDRESS_FAMILIES } from './attempt/destination.ts'

const ms = z.coerce.number().int().positive()
const count = z.coerce.number().int().positive()
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
)

export const DeliveryConfig = z.object({
  ...commonConfig,
  DELIVERY_DATABASE: databaseLocation('data/db/delivery.sqlite', 'The attempt ledger, which all replicas share'),
  SPOOL: z.string().default('data/spool').describe(spoolDescription),
  ...bytesSettings,
  ...databaseSettings,
  MAIL_HOSTNAME: z.string().default('localhost').describe('Our name in EHLO.'),
  DELIVERY_OURSELVES: list
    .default([])
    .describe('Names and addresses that are ourselves; an MX among them is never connected to (comma-separated).'),
  DELIVERY_SMARTHOST: z
    .string()
    .regex(/^\S+:\d{1,5}$/)
    .optional()
    .describe('Mail that no transport rule is about goes here (host:port) instead of to the MX of its domain.'),
  DELIVERY_SMARTHOST_USER: z.string().optional().describe('User name at the smarthost.'),
  DELIVERY_SMARTHOST_PASSWORD: z.string().optional().describe('Password at the smarthost.').meta({ secret: true }),
  DELIVERY_PORT: z.coerce.number().int().min(1).max(65535).default(25).describe('Port of MX hosts.'),
  DELIVERY_ALLOW_PRIVATE: z.stringbool().default(false).describe('Loopback and private addresses may be next hops.'),
  DELIVERY_ADDRESS_FAMILIES: z
    .enum(ADDRESS_FAMILIES)
    .default('both')
    .describe('Addresses of next hops that are tried; with both, those of one host take turns, IPv6 first.'),
  ...dnsSettings,
  DELIVERY_CA_FILE: z
    .string()
    .optional()
    .describe("File of certificates (PEM) that are trusted besides the system's, for next hops that must be verified."),
  DELIVERY_SOURCE_POOLS: z
    .string()
    .default('')
    .transform((text, context) => {
      const pools = parseSourcePools(text)
      if (typeof pools !== 'string') return pools
      context.addIssue({ code: 'custom', message: pools })
      return z.NEVER
    })
    .describe(
      'Pools of addresses to connect from, which transport rules name: bulk@out.example.org=192.0.2.1,2001:db8::1, parted by blanks; the name to say in EHLO may be left out. The pool default is for all other mail.',
    ),
  DELIVERY_TRANSPORTS_REFRESH_MS: ms
    .max(3_600_000)
    .default(60_000)
    .describe('Transport rules are read again after so long (ms); changes are heard of sooner.'),
  DELIVERY_CONNECT_TIMEOUT_MS: ms.default(30_000).describe('Time to connect to one address (ms).'),
  DELIVERY_CONNECT_TOTAL_MS: ms
    .default(300_000)
    .describe('No further host of a site is tried once an attempt took so long (ms); the next attempt begins anew.'),
  DELIVERY_GREETING_TIMEOUT_MS: ms
    .default(300_000) // RFC 5321 §4.5.3.2.1: at least 5 minutes
    .describe('A peer may take so long for its greeting, and for the TLS handshake (ms).'),
  DELIVERY_REPLY_TIMEOUT_MS: ms
    .default(300_000) // RFC 5321 §4.5.3.2.2–3: at least 5 minutes
    .describe('A peer may take so long for a reply to EHLO, AUTH, MAIL and RCPT (ms).'),
  DELIVERY_DATA_TIMEOUT_MS: ms
    .default(120_000) // RFC 5321 §4.5.3.2.4: at least 2 minutes
    .describe('A peer may take so long for the reply to DATA (ms); where commands are pipelined, as for the others.'),
  DELIVERY_BLOCK_TIMEOUT_MS: ms
    .default(180_000) // RFC 5321 §4.5.3.2.5: at least 3 minutes
    .describe('A peer may take so long to receive a block of data (ms).'),
  DELIVERY_DOT_TIMEOUT_MS: ms
    .default(600_000) // RFC 5321 §4.5.3.2.6: at least 10 minutes
    .describe('A peer may take so long to answer the end of a message (ms).'),
  DELIVERY_SESSION_MESSAGES: count.max(10_000).default(100).describe('Messages over one connection at most.'),
  DELIVERY_IDLE_MS: ms
    .default(5000)
    .describe('A connection is kept so long for the next message to the same host (ms).'),
  DELIVERY_IDLE_SESSIONS: z.coerce
    .number()
    .int()
    .min(0)
    .max(10_000)
    .default(200)
    .describe('Connections that wait for a next message, in each thread; beyond it the oldest is closed.'),
  DELIVERY_TLS_RETRY_MS: ms
    .max(7 * 86_400_000)
    .default(600_000)
    .describe('A host whose STARTTLS failed gets opportunistic mail in the clear for so long (ms).'),
  DELIVERY_THREADS: z.coerce
    .number()
    .int()
    .min(0)
    .max(64)
    .default(1)
    .describe('Threads that speak with other hosts, each on a processor of its own; 0: no thread beside the main one.'),
  DELIVERY_CONCURRENCY: count.max(10_000).default(500).describe('Transactions at once in this process.'),
  DELIVERY_SITE_CONCURRENCY: count.max(1000).default(20).describe('Transactions at once with one site, at most.'),
  DELIVERY_SMARTHOST_CONCURRENCY: count
    .max(1000)
    .default(50)
    .describe('The same with a smarthost: it takes the mail for many sites, and knows us.'),
  DELIVERY_SITE_INITIAL_CONCURRENCY: count
    .max(1000)
    .default(5)
    .describe('Transactions at once with a site nothing is known of; more while it answers.'),
  DELIVERY_BREAKER_TROUBLES: count
    .max(1000)
    .default(5)
    .describe(
      'A site is left alone after so many transactions in a row without a session, and no fewer than ran at once.',
    ),
  DELIVERY_BREAKER_FIRST_MS: ms
    .max(3_600_000)
    .default(60_000)
    .describe('A site in trouble is left alone for so long (ms), twice as long each next time.'),
  DELIVERY_BREAKER_LONGEST_MS: ms
    .max(86_400_000)
    .default(1_800_000)
    .describe('Longest time a site is left alone (ms).'),
  DELIVERY_BUSY_PAUSE_MS: ms
    .max(600_000)
    .default(5000)
    .describe('Pause after a site said that it is busy (ms); it also gets half as many transactions at once.'),
  DELIVERY_SPILL_AFTER_MS: ms
    .min(1000)
    .max(60_000)
    .default(10_000)
    .describe('A task of a crowded lane that would wait longer for its transaction is put back for later (ms).'),
  DELIVERY_SPILL_MIN_MS: ms.min(1000).max(600_000).default(5000).describe('It comes again no sooner (ms).'),
  DELIVERY_SPILL_MAX_MS: ms.min(1000).max(3_600_000).default(600_000).describe('It comes again no later (ms).'),
  // RFC 5321 §4.5.3.1.8: peers must take 100 recipients.
  DELIVERY_MAX_RECIPIENTS: count.max(1000).default(100).describe('Recipients in one transaction.'),
  // Below what the consumer of a lane may leave unacknowledged (5,000).
  DELIVERY_LANE_IN_FLIGHT: count.max(4000).default(1000).describe('Tasks of one lane in hand.'),
  DELIVERY_GATHER_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(1000)
    .default(10)
    .describe('A task waits so long for others of its message and site (ms).'),
  DELIVERY_ACT_WAIT_MS: ms
    .max(20_000)
    .default(5000)
    .describe("An operator's act waits so long for an attempt that is on its way (ms)."),
  DELIVERY_RETRY_FIRST_MS: ms
    .default(300_000)
    .describe('Pause after the first failed attempt (ms); each next one is twice as long.'),
  DELIVERY_RETRY_LONGEST_MS: ms.default(4 * 3_600_000).describe('Longest pause between attempts (ms).'),
  DELIVERY_RETRY_JITTER: z.coerce
    .number()
    .min(0)
    .max(0.5)
    .default(0.2)
    .describe('Part of a pause by which it is shortened or lengthened at random.'),
  DELIVERY_RETRY_GREYLIST_MS: ms
    .default(180_000)
    .describe('Pause after a peer greylisted (ms); also the shortest pause a peer can ask for.'),
  DELIVERY_RETRY_GREYLIST_ATTEMPTS: z.coerce
    .number()
    .int()
    .min(0)
    .max(100)
    .default(4)
    .describe('Later attempts than this keep to the usual pauses, whatever the peer says.'),
  DELIVERY_REPLY_RULES_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('JSON file of rows that say what replies mean, before those built in.'),
  DELIVERY_LEASE_MS: ms.min(3000).default(15_000).describe('A lane whose owner died is free after so long (ms).'),
  DELIVERY_DKIM: z
    .enum(['sign', 'off'])
    .default('sign')
    .describe('sign: mail of our users and reports carry DKIM signatures where their domain has active keys.'),
  DELIVERY_DKIM_CACHE_MS: ms
    .max(600_000)
    .default(60_000)
    .describe('What the directory says of keys is kept so long (ms); a change is heard of sooner.'),
  DELIVERY_DKIM_STALE_MS: ms
    .max(86_400_000)
    .default(3_600_000)
    .describe('…and is used so long while the directory does not answer (ms); then mail to be signed waits.'),
  DELIVERY_HEARTBEAT_MS: ms
    .min(100)
    .max(60_000)
    .default(2000)
    .describe('A replica makes itself known so often (ms); not heard three times it is gone.'),
  DELIVERY_LANE_STEADY_MS: ms
    .max(600_000)
    .default(3000)
    .describe("A lane that should be another replica's is given up after so long (ms)."),
  DELIVERY_LANE_GRACE_MS: ms
    .max(600_000)
    .default(15_000)
    .describe("A free lane that should be another replica's is taken after so long (ms)."),
  DELIVERY_HAND_OVER_MS: ms
    .max(600_000)
    .default(10_000)
    .describe('Whoever takes over a lane waits so long for transactions under way (ms).'),
  // Longer than a recipient may stay open.
  DELIVERY_LEDGER_DAYS: count.min(6).default(30).describe('Outcomes are remembered so long (days).'),
})
export type DeliveryConfig = z.infer<typeof DeliveryConfig>
