/** How many connections there are, and how many of them come from one client. */
import { isIPv6 } from 'node:net'

import { Networks } from './networks.ts'

export interface ConnectionLimits {
  /** In total. */
  maxConnections: number
  /** From one IPv4 address, or one /64 of IPv6: the least a provider gives to one customer. */
  maxConnectionsPerClient: number
  /** Addresses and networks that only the total concerns. */
  unlimitedClients?: readonly string[]
}

export type Overload = 'total' | 'client'

export class ConnectionCount {
  readonly #limits: ConnectionLimits
  readonly #unlimited: Networks
  readonly #clients = new Map<string, number>()
  #total = 0

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
    this.#unlimited = new Networks(limits.unlimitedClients ?? [])
  }

  get total(): number {
    return this.#total
  }

  /** Counts one more, or says which limit forbids it; then nothing is counted. */
  enter(address: string): Overload | null {
    const client = clientKey(address)
    const count = this.#clients.get(client) ?? 0
    if (this.#total >= this.#limits.maxConnections) return 'total'
    if (count >= this.#limits.maxConnectionsPerClient && !this.#unlimited.includes(address)) return 'client'
    this.#total++
    this.#clients.set(client, count + 1)
    return null
  }

  leave(address: string): void {
    const client = clientKey(address)
    const count = this.#clients.get(client) ?? 0
    this.#total--
    if (count > 1) this.#clients.set(client, count - 1)
    else this.#clients.delete(client)
  }
}

function clientKey(address: string): string {
  if (!isIPv6(address)) return address
  // `2001:db8::1` has its first four groups written out only after expansion of `::`.
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}
