/** Addresses and networks that a setting names: balancers that may speak for clients, clients that no limit concerns. */
import { BlockList, isIP, isIPv4 } from 'node:net'

import { z } from 'zod'

export class Networks {
  readonly #list = new BlockList()
  readonly #empty: boolean

  /** @param networks addresses, or networks such as `10.0.0.0/8` @throws on what is neither */
  constructor(networks: readonly string[]) {
    this.#empty = networks.length === 0
    for (const network of networks) {
      const [address = '', prefix] = network.split('/')
      const family = isIPv4(address) ? 'ipv4' : 'ipv6'
      if (prefix === undefined) this.#list.addAddress(address, family)
      else this.#list.addSubnet(address, Number(prefix), family)
    }
  }

  includes(address: string): boolean {
    if (this.#empty) return false
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && this.#list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
  }
}

/** An IPv4 client of a dual-stack socket is an IPv4 client. */
export function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
}

const networks = (standard: string) =>
  z
    .string()
    .default(standard)
    .transform((list) => list.split(/[\s,]+/).filter((network) => network !== ''))
    .refine(areNetworks, 'addresses or networks such as 10.0.0.0/8, separated by commas')

function areNetworks(list: readonly string[]): boolean {
  try {
    return new Networks(list) !== null
  } catch {
    return false
  }
}

/** Of every service with a door to the world, under a name of its own. */
export const proxyNetworks = networks('').describe(
  'Addresses and networks of balancers that speak the PROXY protocol, separated by commas.',
)
export const unlimitedClients = networks('127.0.0.0/8,::1').describe(
  'Addresses and networks, separated by commas, that the limit per client does not concern: by default this machine, for webmail and proxies on it.',
)
