/**
 * The client's name by reverse look-up, for Received fields: what its address is called, if that name leads back to it.
 *
 * Only decoration: never waited for by a greeting, bounded in time and number, and null when in doubt.
 *
 * STANDARDS  RFC 5321 §4.4 (TCP-info), RFC 8499 §7 (forward-confirmed)
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface ReverseNameOptions {
  /** A name that takes longer is none. */
  timeoutMs: number
  cacheEntries: number
  cacheMs: number
  /** Look-ups at once; clients beyond go without a name. */
  maxLookups: number
  now(): number
  resolver: ReverseResolver
}

/** node:dns/promises, as far as it is used. */
export interface ReverseResolver {
  reverse(address: string): Promise<string[]>
  resolve4(name: string): Promise<string[]>
  resolve6(name: string): Promise<string[]>
}

export type ReverseName = (address: string) => Promise<string | null>

/** What a name may be: it ends in header fields and logs, and belongs to whoever owns the address. */
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?)*$/
/** Names that may be tried to lead back; an address with hundreds of them is playing. */
const MAX_NAMES = 5

const here = new BlockList()
here.addSubnet('127.0.0.0', 8, 'ipv4')
here.addAddress('::1', 'ipv6')
here.addSubnet('fe80::', 10, 'ipv6')

export function reverseNames(options: ReverseNameOptions): ReverseName {
  const known = new Map<string, { name: Promise<string | null>; until: number }>()
  let running = 0

  return (address) => {
    const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : null
    if (family === null || here.check(address, family)) return Promise.resolve(null)
    const entry = known.get(address)
    if (entry && entry.until > options.now()) return entry.name
    if (running >= options.maxLookups) return Promise.resolve(null)
    running++
    const name = lookUp(address, options).finally(() => {
      running--
    })
    known.delete(address)
    known.set(address, { name, until: options.now() + options.cacheMs })
    const [oldest] = known.keys()
    if (known.size > options.cacheEntries && oldest !== undefined) known.delete(oldest)
    return name
  }
}

async function lookUp(address: string, { resolver, timeoutMs }: ReverseNameOptions): Promise<string | null> {
  const { promise: tooLate, resolve } = Promise.withResolvers<null>()
  const timer = setTimeout(() => resolve(null), timeoutMs)
  try {
    return await Promise.race([confirmed(address, resolver), tooLate])
  } catch {
    return null // No name, or no answer: for a trace field they are the same.
  } finally {
    clearTimeout(timer)
  }
}

async function confirmed(address: string, resolver: ReverseResolver): Promise<string | null> {
  const names = (await resolver.reverse(address)).filter((name) => HOST_NAME.test(name)).slice(0, MAX_NAMES)
  for (const name of names) {
    const addresses = await (isIPv4(address) ? resolver.resolve4(name) : resolver.resolve6(name)).catch(
      (): string[] => [],
    )
    if (addresses.includes(address)) return name.toLowerCase()
  }
  return null
}
