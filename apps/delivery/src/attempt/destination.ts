/**
 * Which hosts to try on a way, in order.
 *
 * For good only what DNS or the site itself says for good: no such domain (5.1.2), no mail (5.1.10), every MX host without an
 * address (5.4.4, as RFC 5321 §5.1 asks: "MUST be reported as an error"), back to us (5.4.6). What DNS cannot tell, and whatever may be
 * our own configuration, is temporary.
 *
 * STANDARDS  RFC 5321 §5.1 (MX, aliases, implicit MX, equal preferences at random, no loops), §4.1.3 (address literals);
 *            RFC 7505 (null MX); RFC 5891 (A-labels)
 */
import { type Answer, type Dns, DnsUnavailable, type MxRecord } from '@postbus/dns'
import { normalizeDomain } from '@postbus/smtp'

import type { NextHopWay } from '../routing/route.ts'

/** What is asked of DNS. "None" is an answer; it throws DnsUnavailable when it cannot tell. */
export type DnsPorts = Pick<Dns, 'mx' | 'a' | 'aaaa'>

export interface Host {
  /** As in the MX record; what TLS certificates and reports name. */
  name: string
  address: string
  port: number
  /** DNSSEC vouches for the way here: the MX records and this address. Absent where DNS had no part in it. */
  authenticated?: boolean
}

export type Destination =
  | { kind: 'hosts'; hosts: Host[] }
  | { kind: 'impossible'; status: `5.${number}.${number}`; reason: string }
  | { kind: 'temporary'; status: `4.${number}.${number}`; reason: string }

export const ADDRESS_FAMILIES = ['both', 'ipv4', 'ipv6'] as const

export interface DestinationRules {
  /** Of MX hosts. */
  port: number
  /** Loopback, private and other special addresses may be next hops. */
  allowPrivate: boolean
  /** Which addresses are asked for. With both, those of one host take turns, IPv6 first. */
  families: (typeof ADDRESS_FAMILIES)[number]
  /** Names and addresses that are ourselves, lower case: an MX among them ends the list before it — RFC 5321 §5.1. */
  ourselves: ReadonlySet<string>
  /** Whether a text is an IP address, and whether an address is loopback, private or otherwise no place for mail. */
  isAddress(text: string): boolean
  isPrivate(address: string): boolean
  random(): number
}

/** More hosts than this of one MX set are not looked at. */
const MAX_HOSTS = 20
const MAX_ADDRESSES_PER_HOST = 8
/** Each may take a connection's time-out. */
const MAX_ADDRESSES = 40
/** Hosts whose trouble a reason tells, and how much of it (characters): it ends in a status and a report. */
const MAX_REASONS = 5
const MAX_REASON = 1000

interface Exchange {
  preference: number
  name: string
}

/** What cannot be looked up is temporary — RFC 3463 §3.5: 4.4.3, directory server failure. */
export async function orTemporary(look: () => Promise<Destination>): Promise<Destination> {
  try {
    return await look()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { kind: 'temporary', status: '4.4.3', reason: `DNS cannot tell: ${why}` }
  }
}

/** What an operator names may be private, and may be another program on our own host. */
export async function destinationOf(way: NextHopWay, dns: DnsPorts, rules: DestinationRules): Promise<Destination> {
  if (way.kind !== 'mx') return fixedHost(way, dns, rules)
  if (!way.named) return mxHostsOf(way.domain, dns, rules)
  const trusting = { ...rules, allowPrivate: true, ourselves: new Set<string>() }
  const destination = await mxHostsOf(way.domain, dns, { ...trusting, port: way.port ?? rules.port })
  // RFC 3463 §3.4: x.3.5, system incorrectly configured. A slip of the operator's says nothing about the recipient.
  return destination.kind === 'impossible' ? { ...destination, kind: 'temporary', status: '4.3.5' } : destination
}

async function mxHostsOf(site: string, dns: DnsPorts, rules: DestinationRules): Promise<Destination> {
  if (site.startsWith('[')) return literal(site.slice(1, -1).replace(/^ipv6:/i, ''), rules)
  const domain = normalizeDomain(site)
  if (domain === null) return impossible('5.1.2', 'Not a domain name')
  const answer = await dns.mx(domain)
  if (answer.kind === 'noName') return impossible('5.1.2', 'The domain does not exist')
  // RFC 5321 §5.1: without MX records the domain itself is its only MX. Only "none" makes it so; no answer does not.
  const records = answer.kind === 'answer' ? answer.records : [{ preference: 0, exchange: domain }]
  // RFC 7505 §3: a null MX stands alone and means no mail, ever.
  if (records.length === 1 && records[0]?.exchange === '')
    return impossible('5.1.10', 'The domain accepts no mail: null MX (556)')

  const { exchanges, nonsense } = usable(records, rules)
  const ordered = inOrder(exchanges, rules.random)
  const own = preferenceOf(exchanges.filter(({ name }) => rules.ourselves.has(name)))
  const before = ordered.filter(({ preference }) => preference < own).slice(0, MAX_HOSTS)
  const found = await Promise.all(before.map((exchange) => addressesOf(exchange, dns, rules)))
  // RFC 5321 §5.1: neither to ourselves nor to anybody behind us, by whatever name we are in the list.
  const ownAddress = preferenceOf(found.filter(({ isOurselves }) => isOurselves))
  const reachable = found.filter(({ preference }) => preference < ownAddress)
  const hosts = hostsOf(reachable, rules.port, answer.authenticated)
  if (hosts.length > 0) return { kind: 'hosts', hosts }
  if (Math.min(own, ownAddress) < Infinity && !reachable.some(({ failure }) => failure)) return loop
  const troubles = [...nonsense, ...reachable.map(({ trouble }) => trouble)]
  // Who is asked for half of the addresses only cannot say that there are none.
  return nobody(troubles, reachable, rules.families === 'both' ? '5.4.4' : '4.4.4')
}

/** The one host that the operator names. Whatever is wrong with it may be a slip of theirs: nothing here is for good. */
async function fixedHost(
  { host, port }: { host: string; port: number },
  dns: DnsPorts,
  rules: DestinationRules,
): Promise<Destination> {
  const name = rules.isAddress(host) ? host : normalizeDomain(host)
  if (name === null) return temporary('4.4.4', `Not a host name: ${host}`)
  if (rules.isAddress(name)) return { kind: 'hosts', hosts: [{ name, address: name, port }] }
  const found = await addressesOf({ preference: 0, name }, dns, { ...rules, allowPrivate: true })
  const hosts = hostsOf([found], port, true)
  return hosts.length > 0 ? { kind: 'hosts', hosts } : nobody([found.trouble], [found], '4.4.4')
}

function literal(address: string, rules: DestinationRules): Destination {
  if (!rules.isAddress(address)) return impossible('5.1.2', 'Not an address literal we can use')
  if (rules.ourselves.has(address)) return loop
  if (!rules.allowPrivate && rules.isPrivate(address)) return privateOnly
  return { kind: 'hosts', hosts: [{ name: address, address, port: rules.port }] }
}

/** What a domain may list by mistake is passed over: a null MX beside others, an address, no name at all. */
function usable(records: readonly MxRecord[], { isAddress }: DestinationRules) {
  const exchanges: Exchange[] = []
  const nonsense: string[] = []
  for (const { preference, exchange } of records) {
    const name = isAddress(exchange) ? null : normalizeDomain(exchange)
    if (name !== null) exchanges.push({ preference, name })
    else if (exchange === '') nonsense.push('a null MX beside others')
    else nonsense.push(`${printable(exchange)} is no host name`)
  }
  return { exchanges, nonsense }
}

/** A label may hold any octets, and this one ends in logs and reports. */
const printable = (name: string): string => name.replaceAll(/[^\x21-\x7e]/g, '?')

/** By preference, equal ones shuffled — RFC 5321 §5.1. */
function inOrder(exchanges: readonly Exchange[], random: () => number): Exchange[] {
  return shuffled(exchanges, random).sort((a, b) => a.preference - b.preference)
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, chance: random() }))
    .sort((a, b) => a.chance - b.chance)
    .map(({ item }) => item)
}

/** The best of them; Infinity when there is none. */
const preferenceOf = (exchanges: readonly Exchange[]): number =>
  Math.min(Infinity, ...exchanges.map(({ preference }) => preference))

interface Found extends Exchange {
  /** In the order in which they are tried. */
  addresses: { address: string; authenticated: boolean }[]
  isOurselves: boolean
  /** Why it has no addresses, in words. */
  trouble: string
  /** It may have some: DNS could not tell, or we do not use those it has. */
  failure: 'dns' | 'private' | null
}

async function addressesOf(exchange: Exchange, dns: DnsPorts, rules: DestinationRules): Promise<Found> {
  const { families, ourselves, random } = rules
  const { name } = exchange
  const looked = await Promise.allSettled([
    ...(families === 'ipv4' ? [] : [dns.aaaa(name)]),
    ...(families === 'ipv6' ? [] : [dns.a(name)]),
  ])
  const answers = looked.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  // The order of a record set means nothing, and a cache would make it everybody's: RFC 5321 §5.1 leaves it to us.
  const all = inTurns(answers.map((answer) => shuffled(addressesIn(answer), random)))
  const addresses = all.filter(({ address }) => rules.allowPrivate || !rules.isPrivate(address))
  // An MX that is an alias is against RFC 5321 §5.1, and common: it is what it leads to.
  const isOurselves =
    answers.some((answer) => ourselves.has(answer.name)) || all.some(({ address }) => ourselves.has(address))
  const found = { ...exchange, addresses: addresses.slice(0, MAX_ADDRESSES_PER_HOST), isOurselves }
  if (addresses.length > 0) return { ...found, trouble: '', failure: null }
  // One family that cannot be looked up does not spoil the other; but "none" must have been said for both.
  for (const result of looked) {
    if (result.status === 'fulfilled') continue
    if (!(result.reason instanceof DnsUnavailable)) throw result.reason
    return { ...found, trouble: result.reason.message, failure: 'dns' }
  }
  if (all.length > 0) return { ...found, trouble: `${name} has only private addresses`, failure: 'private' }
  const kind = { both: 'address', ipv4: 'IPv4 address', ipv6: 'IPv6 address' }[families]
  return { ...found, trouble: `${name} has no ${kind}`, failure: null }
}

function addressesIn(answer: Answer<string>): Found['addresses'] {
  if (answer.kind !== 'answer') return []
  return answer.records.map((address) => ({ address, authenticated: answer.authenticated }))
}

function inTurns<T>(lists: readonly T[][]): T[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length))
  return Array.from({ length: longest }, (_, index) => lists.flatMap((list) => list.slice(index, index + 1))).flat()
}

function hostsOf(found: readonly Found[], port: number, authenticated: boolean): Host[] {
  return found
    .flatMap(({ name, addresses }) =>
      addresses.map((one) => ({
        ...{ name, address: one.address, port },
        authenticated: authenticated && one.authenticated,
      })),
    )
    .slice(0, MAX_ADDRESSES)
}

/** @param status what it is when every host has been proved to have no address */
function nobody(
  troubles: readonly string[],
  found: readonly Found[],
  status: '4.4.4' | '5.4.4',
): Exclude<Destination, { kind: 'hosts' }> {
  const reason = troubles.slice(0, MAX_REASONS).join('; ').slice(0, MAX_REASON)
  if (found.some(({ failure }) => failure === 'dns')) return temporary('4.4.3', `DNS cannot tell: ${reason}`)
  if (found.some(({ failure }) => failure === 'private')) return privateOnly
  if (status === '4.4.4') return temporary(status, reason)
  return impossible(status, `No mail host of the domain can be found: ${reason}`)
}

const impossible = (status: `5.${number}.${number}`, reason: string) =>
  ({ kind: 'impossible', status, reason }) satisfies Destination

const temporary = (status: `4.${number}.${number}`, reason: string) =>
  ({ kind: 'temporary', status, reason }) satisfies Destination

const loop = impossible('5.4.6', 'Mail for this domain loops back to us')

const privateOnly = temporary('4.4.4', 'The next hop has only private addresses')
