/**
 * Which hosts to try on a way, in order.
 *
 * STANDARDS  RFC 5321 §5.1 (MX, implicit MX, equal preferences at random, no loops), RFC 7505 (null MX),
 *            RFC 5321 §4.1.3 (address literals)
 */
import type { NextHopWay } from '../routing/route.ts'

export interface MxRecord {
  preference: number
  exchange: string
}

/** What is asked of DNS. `null`: the name does not exist (NXDOMAIN). Throws when DNS cannot say: that is temporary. */
export interface DnsPorts {
  mx(domain: string): Promise<MxRecord[] | null>
  /** IPv4 and IPv6; empty when the name has none. */
  addresses(host: string): Promise<string[]>
}

export interface Host {
  /** As in the MX record; what TLS certificates and reports name. */
  name: string
  address: string
  port: number
}

export type Destination =
  | { kind: 'hosts'; hosts: Host[] }
  | { kind: 'impossible'; status: `5.${number}.${number}`; reason: string }
  | { kind: 'temporary'; status: `4.${number}.${number}`; reason: string }

export interface DestinationRules {
  /** Of MX hosts. */
  port: number
  /** Loopback and private addresses may be next hops. */
  allowPrivate: boolean
  /** Names and addresses that are ourselves, lower case: an MX among them ends the list before it — RFC 5321 §5.1. */
  ourselves: ReadonlySet<string>
  /** Whether a text is an IP address, and whether an address is loopback, private or otherwise no place for mail. */
  isAddress(text: string): boolean
  isPrivate(address: string): boolean
  random(): number
}

/** More hosts than this of one MX set are not looked at. */
const MAX_HOSTS = 20
const MAX_ADDRESSES_PER_HOST = 4

/** What an operator names may be private, and may be another program on our own host. */
export async function destinationOf(way: NextHopWay, dns: DnsPorts, rules: DestinationRules): Promise<Destination> {
  const trusting = { ...rules, allowPrivate: true, ourselves: new Set<string>() }
  if (way.kind !== 'mx') return hostsOf([way.host], way.port, dns, trusting)
  if (!way.named) return mxHostsOf(way.domain, dns, rules)
  const destination = await mxHostsOf(way.domain, dns, { ...trusting, port: way.port ?? rules.port })
  // RFC 3463 §3.4: x.3.5, system incorrectly configured. A slip of the operator's says nothing about the recipient.
  return destination.kind === 'impossible' ? { ...destination, kind: 'temporary', status: '4.3.5' } : destination
}

async function mxHostsOf(site: string, dns: DnsPorts, rules: DestinationRules): Promise<Destination> {
  if (site.startsWith('[')) {
    const address = site.slice(1, -1).replace(/^ipv6:/i, '')
    if (!rules.isAddress(address))
      return { kind: 'impossible', status: '5.1.2', reason: 'Not an address literal we can use' }
    return hostsOf([address], rules.port, dns, rules)
  }
  const records = await dns.mx(site)
  if (records === null) return { kind: 'impossible', status: '5.1.2', reason: 'The domain does not exist' }
  if (records.some(({ exchange }) => exchange === '' || exchange === '.')) {
    // RFC 7505 §3: a null MX stands alone and means no mail, ever.
    if (records.length === 1)
      return { kind: 'impossible', status: '5.1.10', reason: 'The domain accepts no mail (null MX)' }
    return { kind: 'temporary', status: '4.4.4', reason: 'A null MX beside other MX records' }
  }
  // RFC 5321 §5.1: without MX records the domain itself is its only MX.
  const names = records.length === 0 ? [site] : ordered(records, rules)
  if (names === null) return loop
  return hostsOf(names.slice(0, MAX_HOSTS), rules.port, dns, rules)
}

/** By preference, equal ones shuffled; from ourselves on cut off. Null when that leaves nobody. */
function ordered(records: readonly MxRecord[], { ourselves, random }: DestinationRules): string[] | null {
  const own = records.filter(({ exchange }) => ourselves.has(normal(exchange)))
  const limit = Math.min(Infinity, ...own.map(({ preference }) => preference))
  const usable = records.filter(({ preference }) => preference < limit)
  if (usable.length === 0) return null
  return usable
    .map((record) => ({ ...record, chance: random() }))
    .sort((a, b) => a.preference - b.preference || a.chance - b.chance)
    .map(({ exchange }) => normal(exchange))
}

const normal = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const loop: Destination = { kind: 'impossible', status: '5.4.6', reason: 'Mail for this domain loops back to us' }

async function hostsOf(
  names: readonly string[],
  port: number,
  dns: DnsPorts,
  rules: DestinationRules,
): Promise<Destination> {
  const hosts: Host[] = []
  let refused = 0
  let failure: Error | undefined
  for (const name of names) {
    try {
      const addresses = rules.isAddress(name) ? [name] : await dns.addresses(name)
      // RFC 5321 §5.1: neither to ourselves nor to anybody behind us.
      if (addresses.some((address) => rules.ourselves.has(address))) {
        return hosts.length > 0 ? { kind: 'hosts', hosts } : loop
      }
      for (const address of addresses.slice(0, MAX_ADDRESSES_PER_HOST)) {
        if (!rules.allowPrivate && rules.isPrivate(address)) refused++
        else hosts.push({ name, address, port })
      }
    } catch (error) {
      // Another host of the set may do; only when none is left is this what we say.
      failure = error instanceof Error ? error : new Error(String(error))
    }
  }
  if (hosts.length > 0) return { kind: 'hosts', hosts }
  if (failure !== undefined) throw failure
  if (refused > 0) return { kind: 'temporary', status: '4.4.4', reason: 'The next hop has only private addresses' }
  return { kind: 'temporary', status: '4.4.4', reason: 'No host of the domain has an address' }
}
