import { z } from 'zod'

const count = z.coerce.number().int().positive()

export const RouterConfig = z.object({
  /** Accepted messages handled at once. Bounds memory; high enough that one wait for the bus is shared by many. */
  ROUTER_MAX_IN_FLIGHT: count.max(10_000).default(512),
  /** Steps through aliases, lists and rewriting; a longer way fails with 5.4.6. */
  ROUTER_MAX_DEPTH: count.max(100).default(20),
  /** Different addresses looked up for one message; an alias that leads beyond fails with 5.2.4. */
  ROUTER_MAX_ADDRESSES: count.max(1_000_000).default(20_000),
  /** Final recipients of one message; an original recipient that would go over it fails with 5.2.4. */
  ROUTER_MAX_RECIPIENTS: count.max(1_000_000).default(20_000),
  /** Seconds from acceptance after which a recipient is given up. RFC 5321 §4.5.4.1 asks for at least 4 to 5 days. */
  ROUTER_MAX_QUEUE_TIME: count.default(5 * 86_400),
  /** Shards of the outgoing stream. Must be the same for every service, and may only grow while the streams are empty. */
  ROUTER_OUT_SHARDS: count.max(32).default(1),
  /** Answers of the directory kept. */
  ROUTER_CACHE_ENTRIES: z.coerce.number().int().nonnegative().max(1_000_000).default(10_000),
  /** Milliseconds an answer is kept at most; a change in the directory is heard of sooner. */
  ROUTER_CACHE_MS: z.coerce.number().int().nonnegative().max(60_000).default(5000),
})
export type RouterConfig = z.infer<typeof RouterConfig>
