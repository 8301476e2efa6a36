/** What one release says on the bus: the schemas it reads by, and samples of what it writes. Kept as data, one file per release. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { contracts, schemasOf, subjectOf } from '@postbus/contracts'
import { z } from 'zod'

import { jsonSchema } from './json-schema.ts'
import { samplesOf } from './samples.ts'

export const RELEASES = join(import.meta.dirname, 'contracts')

/** In each form that samples come in. */
const SAMPLES = 2

const Release = z.object({
  version: z.string(),
  contracts: z.array(
    z.object({
      name: z.string(),
      subject: z.string(),
      said: z.record(z.string(), z.object({ schema: z.looseObject({}), samples: z.array(z.unknown()) })),
    }),
  ),
})
export type Release = z.infer<typeof Release>

export function releaseNow(version: string): Release {
  return {
    version,
    contracts: contracts.map((contract) => ({
      name: contract.name,
      subject: subjectOf(contract),
      said: Object.fromEntries(
        schemasOf(contract).map(([said, schema]) => [
          said,
          { schema: { ...jsonSchema(schema) }, samples: samplesOf(schema, SAMPLES) },
        ]),
      ),
    })),
  }
}

/** The release before this state of the code: of the kept ones, the newest. */
export async function lastRelease(): Promise<Release> {
  const versions = (await readdir(RELEASES)).map((name) => name.replace(/\.json$/, ''))
  const newest = versions.toSorted((one, other) => one.localeCompare(other, 'en', { numeric: true })).at(-1)
  if (newest === undefined) throw new Error(`no release in ${RELEASES}`)
  return Release.parse(JSON.parse(await readFile(join(RELEASES, `${newest}.json`), 'utf8')))
}
