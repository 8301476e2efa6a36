import { parseAddress } from '@postbus/smtp'
import { commonConfig } from '@postbus/service'
import { databaseLocation, databaseSettings } from '@postbus/sql/settings'
import { z } from 'zod'

const count = z.coerce.number().int().positive()
const countOrNone = z.coerce.number().int().nonnegative()

export const DirectoryConfig = z.object({
  ...commonConfig,
  DIRECTORY_DATABASE: databaseLocation('data/db/directory.sqlite', 'Domains, accounts, aliases and keys'),
  ...databaseSettings,

  DIRECTORY_POSTMASTER: z
    .string()
    .refine((address) => parseAddress(address) !== null, { error: 'must be an address (local-part@domain)' })
    .optional()
    .describe(
      'Who reads mail to postmaster@ and abuse@ of a domain where nobody has that name; without it, the oldest account.',
    ),
  DIRECTORY_ADDRESS_LITERALS: z
    .string()
    .default('')
    .transform((list) =>
      list
        .toLowerCase()
        .split(/[\s,]+/)
        .filter((literal) => literal !== ''),
    )
    .pipe(
      z.array(
        z.string().regex(/^\[[^\]]+\]$/, { error: 'must be [192.0.2.1] or [IPv6:2001:db8::1], separated by commas' }),
      ),
    )
    .describe('Address literals that mean the primary domain, separated by commas: [192.0.2.1].'),

  // RFC 9106 §4 wants 64 MiB for its second choice; these are OWASP's for a server that many log in to.
  DIRECTORY_HASH_MEMORY_KIB: count
    .min(8)
    .max(4 * 1024 * 1024)
    .default(19_456)
    .describe('Memory of one argon2id hash (KiB). Older hashes are renewed at the next login.'),
  DIRECTORY_HASH_PASSES: count.max(100).default(2).describe('Passes of one argon2id hash.'),
  DIRECTORY_HASH_CONCURRENCY: count
    .max(64)
    .default(2)
    .describe('Hashes computed at once; times DIRECTORY_HASH_MEMORY_KIB it bounds their memory.'),
  DIRECTORY_HASH_MAX_WAITING: count
    .max(100_000)
    .default(1000)
    .describe('Logins waiting for their hash, or for what comes of others; more are told to come again.'),
  DIRECTORY_SCRAM_ITERATIONS: count
    .min(4096) // RFC 7677 §4: at least 4096
    .max(10_000_000)
    .default(15_000)
    .describe('PBKDF2 iterations of new SCRAM keys; clients compute them at each login.'),

  OAUTH_ISSUER: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Issuer (iss) whose access tokens log in; with it OAUTH_JWKS_URL and OAUTH_AUDIENCE. Without it nobody does.',
    ),
  OAUTH_JWKS_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Where the issuer publishes its keys, as a JWK set.'),
  OAUTH_AUDIENCE: z.string().min(1).optional().describe('Tokens must be for this audience (aud).'),
  OAUTH_USERNAME_CLAIM: z
    .string()
    .min(1)
    .default('email')
    .describe("The claim of a token that holds the account's address."),
  DIRECTORY_PASSWORD_MIN_LENGTH: count.max(128).default(8).describe('Shorter passwords cannot be set (characters).'),
  DIRECTORY_LOGIN_CACHE_MS: countOrNone
    .max(3_600_000)
    .default(60_000)
    .describe('A login is not computed again for so long (ms); 0: always. A changed password counts at once.'),
  DIRECTORY_LOGIN_CACHE_ENTRIES: count.max(1_000_000).default(10_000).describe('Logins remembered at most.'),

  DIRECTORY_FAILURES_PER_PAIR: count
    .default(10)
    .describe('Wrong passwords of one client address for one account, until it is throttled.'),
  DIRECTORY_FAILURES_PER_ADDRESS: count
    .default(50)
    .describe('Wrong passwords of one client address (IPv6: /64), until it is throttled.'),
  DIRECTORY_FAILURES_PER_ACCOUNT: count
    .default(100)
    .describe('Wrong passwords for one account from everywhere, until addresses it never logged in from are rationed.'),
  DIRECTORY_FAILURES_HALF_LIFE_MS: count.default(600_000).describe('Counts of failures halve in this time (ms).'),
  DIRECTORY_STRANGER_INTERVAL_MS: count
    .default(10_000)
    .describe('A rationed account gets one attempt from unknown addresses in this time (ms).'),
  DIRECTORY_FAILURE_DELAY_MS: countOrNone
    .default(250)
    .describe('The answer to a first wrong password waits this long (ms); to each further one twice as long.'),
  DIRECTORY_FAILURE_MAX_DELAY_MS: countOrNone.max(60_000).default(8000).describe('…but never longer than this (ms).'),
  DIRECTORY_FAILURES_ENTRIES: count.max(10_000_000).default(100_000).describe('Counts kept at most, of each kind.'),

  DIRECTORY_TOKEN_LIFETIME_MS: count
    .min(60_000)
    .max(86_400_000)
    .default(600_000)
    .describe('Session tokens are good for so long (ms): what a disabled account keeps at most.'),
  DIRECTORY_TOKEN_KEY_DAYS: count.max(3650).default(30).describe('A new signing key is made after so many days.'),

  DIRECTORY_MESSAGES_PER_HOUR: countOrNone
    .default(500)
    .describe('Messages an account may send, unless it has its own limit.'),
  DIRECTORY_RECIPIENTS_PER_HOUR: countOrNone
    .default(2000)
    .describe('Recipients an account may send to, unless it has its own limit.'),
})
export type DirectoryConfig = z.infer<typeof DirectoryConfig>
