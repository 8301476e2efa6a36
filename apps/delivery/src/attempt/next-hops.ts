/**
 * The hosts to try for a site, in order, and the ends that names alone can decide.
 *
 * STANDARDS  RFC 5321 §5.1 (MX, implicit MX, loops), §4.1.3 (address literals); RFC 7505 (null MX); RFC 3463
 */
import { isIP } from 'node:net'

import type { Outcome } from './outcome.ts'
import type { Names, Target } from './ports.ts'

export interface HopRules {
  /** `host:port` that takes everything instead of the MX hosts. */
  smarthost: { host: string; port: number } | null
  port: number
  /** Our own name, and addresses where we listen: mail must not go there again. */
  hostname: string
  isOwn(address: string, port: number): boolean
  /** Loopback, private, link-local and the like: no place for mail from the internet. */
  isPrivate(address: string): boolean
  allowPrivate: boolean
  /** Addresses tried in one attempt. */
  maxTargets: number
  shuffle<Item>(items: readonly Item[]): Item[]
}

export type NextHops = { kind: 'targets'; targets: Target[] } | { kind: 'end'; outcome: Outcome }

export async function nextHops(site: string, names: Names, rules: HopRules): Promise<NextHops> {
  const { smarthost } = rules
  if (smarthost) return targetsOf([smarthost.host], smarthost.port, names, rules, () => true)
  const literal = literalIn(site)
  if (literal === 'malformed') return permanent('5.1.2', 'The address literal cannot be used')
  const { port } = rules
  const mayConnect = (address: string): boolean => rules.allowPrivate || !rules.isPrivate(address)
  if (literal !== null) return targetsOf([literal], port, names, rules, mayConnect)

  const answer = await names.mxHosts(site)
  switch (answer.kind) {
    case 'temporary':
      return temporary('4.4.3', answer.reason)
    case 'noSuchDomain':
      return permanent('5.1.2', 'There is no such domain')
    case 'nullMx':
      return permanent('5.1.10', 'The domain does not accept mail') // RFC 7505 §3
    case 'implicit':
      return targetsOf([site], port, names, rules, mayConnect)
    case 'hosts':
      return throughMx(answer.hosts)
  }

  function throughMx(hosts: { preference: number; host: string }[]): Promise<NextHops> | NextHops {
    // RFC 5321 §5.1: a relay named in the list drops itself and every host that is not better than itself.
    const ours = hosts.filter(({ host }) => host === rules.hostname.toLowerCase()).map(({ preference }) => preference)
    const better = hosts.filter(({ preference }) => ours.every((own) => preference < own))
    if (better.length === 0) return permanent('5.4.6', 'The best host for this domain is ourselves')
    const groups = [...Map.groupBy(better, ({ preference }) => preference)].sort(([a], [b]) => a - b)
    // Equal preferences MUST be tried in random order, to spread the load.
    const ordered = groups.flatMap(([, equal]) => rules.shuffle(equal).map(({ host }) => host))
    return targetsOf(ordered, port, names, rules, mayConnect)
  }
}

async function targetsOf(
  hosts: readonly string[],
  port: number,
  names: Names,
  { isOwn, maxTargets, shuffle }: HopRules,
  mayConnect: (address: string) => boolean,
): Promise<NextHops> {
  const targets: Target[] = []
  let end: NextHops = permanent('5.4.4', 'The next host has no address')
  for (const host of hosts) {
    if (targets.length >= maxTargets) break
    const answer = isIP(host) ? { kind: 'addresses' as const, addresses: [host] } : await names.addresses(host)
    if (answer.kind === 'temporary') end = temporary('4.4.3', answer.reason)
    // A name among several may be wrong for a while; only a domain that is its own host is settled by having no address.
    else if (answer.kind === 'none')
      end = hosts.length > 1 ? temporary('4.4.4', 'A host named by MX has no address') : end
    else {
      for (const address of shuffle(answer.addresses)) {
        if (isOwn(address, port)) return targets.length > 0 ? { kind: 'targets', targets } : loop
        if (mayConnect(address)) targets.push({ host, address, port })
        else end = temporary('4.4.4', 'The next host has only private addresses')
      }
    }
  }
  return targets.length > 0 ? { kind: 'targets', targets: targets.slice(0, maxTargets) } : end
}

const loop = permanent('5.4.6', 'The next host is ourselves')

function permanent(status: `5.${number}.${number}`, reason: string): NextHops {
  return { kind: 'end', outcome: { kind: 'permanent', status, reason } }
}

function temporary(status: `4.${number}.${number}`, reason: string): NextHops {
  return { kind: 'end', outcome: { kind: 'temporary', status, reason } }
}

/** RFC 5321 §4.1.3. Null: a domain. */
function literalIn(site: string): string | 'malformed' | null {
  if (!site.startsWith('[')) return null
  const inside = site.slice(1, -1).replace(/^ipv6:/i, '')
  return isIP(inside) ? inside : 'malformed'
}
