/** Settings of every service that asks DNS. */
import { z } from 'zod'

import type { DnsOptions } from './resolver.ts'
import { parseServer } from './server-list.ts'

const ms = z.coerce.number().int().min(0)

/** A service spreads these into its own schema. */
export const dnsSettings = {
  DNS_SERVERS: z
    .string()
    .transform((text, context) =>
      text
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean)
        .map((item) => {
          const server = parseServer(item)
          if (server !== null) return server
          context.addIssue({ code: 'custom', message: `not address:port: ${item}` })
          return z.NEVER
        }),
    )
    .default([])
    .describe(
      'Recursive name servers (address:port, comma-separated), in this order; none: those of /etc/resolv.conf.',
    ),
  DNS_ROTATE: z.stringbool().default(false).describe('Each question begins with the next server, not with the first.'),
  DNS_TIMEOUT_MS: ms.min(1).max(60_000).default(5000).describe('Time for one try of a DNS question (ms).'),
  DNS_ROUNDS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10)
    .default(2)
    .describe('Servers that stay silent are asked so often before a question fails.'),
  DNS_TRUST_AD: z
    .stringbool()
    .default(false)
    .describe('The way to all name servers is safe: believe that they validate DNSSEC, not only those on loopback.'),
  DNS_CACHE_ENTRIES: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe('DNS answers that are kept, of each type.'),
  DNS_CACHE_MIN_MS: ms
    .max(60_000)
    .default(1000)
    .describe('A DNS answer is kept at least so long, whatever its TTL (ms).'),
  DNS_CACHE_MAX_MS: ms.max(86_400_000).default(3_600_000).describe('A DNS answer is kept at most so long (ms).'),
  // RFC 2308 §5 allows one to three hours; a sender who just repaired a domain waits for less.
  DNS_CACHE_NEGATIVE_MAX_MS: ms
    .max(10_800_000)
    .default(900_000)
    .describe('That a name or its records do not exist is remembered at most so long (ms).'),
}

export type DnsSettings = z.infer<z.ZodObject<typeof dnsSettings>>

export function dnsOptions(config: DnsSettings): DnsOptions {
  return {
    servers: config.DNS_SERVERS,
    rotate: config.DNS_ROTATE,
    timeoutMs: config.DNS_TIMEOUT_MS,
    rounds: config.DNS_ROUNDS,
    trustAd: config.DNS_TRUST_AD,
    cacheEntries: config.DNS_CACHE_ENTRIES,
    minTtlMs: config.DNS_CACHE_MIN_MS,
    maxTtlMs: config.DNS_CACHE_MAX_MS,
    maxNegativeTtlMs: config.DNS_CACHE_NEGATIVE_MAX_MS,
  }
}
