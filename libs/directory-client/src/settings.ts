/** Settings of every service that asks the directory about addresses. */
import { z } from 'zod'

const count = z.coerce.number().int().min(0)

/** A service spreads these into its own schema. */
export const resolverSettings = {
  DIRECTORY_CACHE_ENTRIES: count.max(1_000_000).default(10_000).describe('Answers of the directory that are kept.'),
  DIRECTORY_CACHE_MS: count
    .max(60_000)
    .default(5000)
    .describe('An answer of the directory is kept at most so long (ms); a change is heard of sooner.'),
}

export type ResolverSettings = z.infer<z.ZodObject<typeof resolverSettings>>

export function resolverOptions(config: ResolverSettings) {
  return {
    cacheEntries: config.DIRECTORY_CACHE_ENTRIES,
    cacheMs: config.DIRECTORY_CACHE_MS,
    now: () => performance.now(),
  }
}
