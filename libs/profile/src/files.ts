/** What a start writes for others, as they read it. */
import { z } from 'zod'

/** `postbus.json` */
export const OperatorAccess = z.object({ natsUrl: z.string(), operatorNkeyFile: z.string(), ca: z.string().optional() })
export type OperatorAccess = z.infer<typeof OperatorAccess>

/** `run/settings.json` */
export const InstanceSettings = z.record(z.string(), z.record(z.string(), z.string()))
export type InstanceSettings = z.infer<typeof InstanceSettings>
