/** What a start writes for others, as they read it. */
import { z } from 'zod'

/** `postbus.json` */
export const OperatorAccess = z.object({
  /** Several servers are divided by commas. */
  natsUrl: z.string(),
  operatorNkeyFile: z.string(),
  /** PEM file a server that speaks TLS is verified with. */
  ca: z.string().optional(),
  /** Of the sharded streams. */
  shards: z.coerce.number().int().positive().default(1),
  profile: z.enum(['embedded', 'scale-out']).default('embedded'),
})
export type OperatorAccess = z.infer<typeof OperatorAccess>

/** `run/settings.json` */
export const InstanceSettings = z.record(z.string(), z.record(z.string(), z.string()))
export type InstanceSettings = z.infer<typeof InstanceSettings>
