import { resolverSettings } from '@postbus/directory-client'
import { commonConfig } from '@postbus/service'
import { z } from 'zod'

const count = z.coerce.number().int().positive()

export const RouterConfig = z.object({
  ...commonConfig,
  ...resolverSettings,
  ROUTER_MAX_IN_FLIGHT: count
    .max(5000)
    .default(512)
    .describe('Accepted messages handled at once. Bounds memory, and lets many share one wait for the bus.'),
  ROUTER_MAX_DEPTH: count
    .max(100)
    .default(20)
    .describe('Steps through aliases, lists and rewriting; a longer way fails with 5.4.6.'),
  ROUTER_MAX_ADDRESSES: count
    .max(1_000_000)
    .default(20_000)
    .describe('Different addresses looked up for one message; an alias that leads beyond fails with 5.2.4.'),
  ROUTER_MAX_RECIPIENTS: count
    .max(1_000_000)
    .default(20_000)
    .describe('Final recipients of one message; an original recipient that would go over it fails with 5.2.4.'),
  // RFC 5321 §4.5.4.1: the give-up time generally needs to be at least 4 to 5 days.
  ROUTER_MAX_QUEUE_TIME: count.default(5 * 86_400).describe('A remote recipient is given up after so long (s).'),
})
export type RouterConfig = z.infer<typeof RouterConfig>
