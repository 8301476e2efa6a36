/** Pools of our own addresses to connect from, each with the name that belongs to it. */
import { isIP } from 'node:net'

export interface SourcePool {
  /** What we call ourselves from there; null: as everywhere. */
  helo: string | null
  ipv4: readonly string[]
  ipv6: readonly string[]
}
export type SourcePools = ReadonlyMap<string, SourcePool>

/** For mail whose route names none. */
const DEFAULT_POOL = 'default'

/** @returns what is wrong, if something is */
export function parseSourcePools(text: string): SourcePools | string {
  const pools = new Map<string, SourcePool>()
  for (const item of text.split(/\s+/).filter(Boolean)) {
    const [, name, helo, list] = /^([a-z0-9-]{1,32})(?:@([a-z0-9.-]{1,255}))?=(.+)$/i.exec(item) ?? []
    if (name === undefined || list === undefined) return `'${item}' is not name=address,… or name@host=address,…`
    if (pools.has(name)) return `pool ${name} is there twice`
    const addresses = list.split(/[,;]/).filter(Boolean)
    const wrong = addresses.find((address) => isIP(address) === 0)
    if (wrong !== undefined) return `'${wrong}' of pool ${name} is no IP address`
    pools.set(name, {
      helo: helo ?? null,
      ipv4: addresses.filter((address) => isIP(address) === 4),
      ipv6: addresses.filter((address) => isIP(address) === 6),
    })
  }
  return pools
}

export type Source =
  { kind: 'any' } | { kind: 'from'; address: string; helo: string | null } | { kind: 'none'; why: string }

/**
 * The address for one host: always the same one of its pool, so that peers that remember who came (greylisting) see it again.
 */
export function sourceFor(
  pools: SourcePools,
  named: string | undefined,
  host: { name: string; address: string },
): Source {
  const pool = pools.get(named ?? DEFAULT_POOL)
  if (pool === undefined) {
    return named === undefined
      ? { kind: 'any' }
      : { kind: 'none', why: `there is no pool of source addresses ${named}` }
  }
  const family = isIP(host.address) === 6 ? pool.ipv6 : pool.ipv4
  const address = family[spread(host.name) % family.length]
  if (address !== undefined) return { kind: 'from', address, helo: pool.helo }
  return { kind: 'none', why: `pool ${named ?? DEFAULT_POOL} has no source address of this family` }
}

/** FNV-1a. */
function spread(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0
  return hash
}
