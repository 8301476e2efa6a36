/** Where a platform keeps its bytes: as the environment says, as its services were told at the last start, or in its data directory. */
import { type BytesSettings, bytesSettingsIn } from '@postbus/blobs'
import { type DataLayout, instanceSettings } from '@postbus/profile'

type Environment = Record<string, string | undefined>

export interface KeptBytes {
  spool: string
  blobs: string
  settings: BytesSettings
}

export async function keptBytes(layout: DataLayout, env: Environment = {}): Promise<KeptBytes> {
  const told = Object.values(await instanceSettings(layout))
  const one = told.find(({ SPOOL }) => SPOOL !== undefined)
  const other = told.find(({ BLOBS }) => BLOBS !== undefined)
  return {
    spool: env['SPOOL'] ?? one?.['SPOOL'] ?? layout.spool,
    blobs: env['BLOBS'] ?? other?.['BLOBS'] ?? layout.blobs,
    settings: bytesSettingsIn({ ...one, ...other, ...env }),
  }
}
