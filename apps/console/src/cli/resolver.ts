/** The resolver of a command, and the option that says whom it asks. */
import { type Dns, dnsResolver, parseServer } from '@postbus/dns'

import { type Command, type OptionValues, textOption, UsageError } from './command.ts'

const TIMEOUT_MS = 3000

export const dnsServerOption = {
  'dns-server': { type: 'string', help: 'ask this server (address, address:port) instead of the system’s' },
} satisfies Command['options']

/** To be closed by the caller. @throws UsageError */
export function resolverOf(options: OptionValues): Dns {
  const text = textOption(options, 'dns-server')
  const server = text === undefined ? undefined : parseServer(text)
  if (server === null) throw new UsageError(`--dns-server is an address, or address:port; not ${text}`)
  return dnsResolver({ ...(server && { servers: [server] }), timeoutMs: TIMEOUT_MS })
}
