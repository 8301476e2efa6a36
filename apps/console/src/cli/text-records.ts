/** TXT records as DNS shows them now. */
import { Resolver } from 'node:dns/promises'

import { UsageError } from './command.ts'

const TIMEOUT_MS = 5000
const TRIES = 2

/** @returns each record's strings put together; [] where there is none. @throws Error when DNS cannot tell */
export type TextRecords = (name: string) => Promise<string[]>

/** @param server address or address:port; undefined: the system's. @throws UsageError when it is neither */
export function textRecordsFrom(server: string | undefined): TextRecords {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  if (server !== undefined) {
    try {
      resolver.setServers([server])
    } catch (cause) {
      throw new UsageError(`--dns-server is an address, or [address]:port; not ${server}`, { cause })
    }
  }
  return async (name) => {
    try {
      return (await resolver.resolveTxt(name)).map((strings) => strings.join(''))
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'ENODATA' || code === 'ENOTFOUND') return []
      throw error
    }
  }
}
