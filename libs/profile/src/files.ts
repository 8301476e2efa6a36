/** What a start writes for others, as they read it. */
import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import type { DataLayout } from './layout.ts'

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

/** What each instance was started with. None: it was never started, or is not ours to read. */
export async function instanceSettings({ settings }: DataLayout): Promise<InstanceSettings> {
  const text = await readFile(settings, 'utf8').catch(() => '{}')
  return InstanceSettings.parse(JSON.parse(text))
}
