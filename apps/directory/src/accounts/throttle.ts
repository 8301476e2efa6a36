/**
 * Slows down who guesses passwords. Failures are counted, and fade, three ways:
 *
 *   by pair     account and client address: one client guessing at one account is stopped soon
 *   by address  one client guessing at many accounts; higher, since many people may share an address
 *   by account  many clients guessing at one account. Beyond the limit, addresses this account has logged in from before go on
 *               as if nothing happened, and all others together get one attempt per interval. So guessing from everywhere
 *               stays slow, and cannot lock the owner out of the devices in use.
 *
 * Unknown accounts count like known ones. An attempt counts as a failure until it succeeds, so that a thousand sent at once
 * are not a thousand free ones. Memory is bounded; what is forgotten under a flood of addresses starts anew.
 */
import { BoundedMap } from './bounded-map.ts'

export interface ThrottleSettings {
  /** Failures until a pair, an address, an account is throttled. */
  pairLimit: number
  addressLimit: number
  accountLimit: number
  /** A count is half of it after this long. */
  halfLifeMs: number
  /** Between two attempts of strangers at an account over its limit. */
  strangerIntervalMs: number
  /** The answer to the first failure waits this long, to each further one twice as long, up to the maximum. */
  baseDelayMs: number
  maxDelayMs: number
  /** Counts of each way, and pairs that have logged in, kept at most. */
  maxEntries: number
}

export type Admission =
  | { kind: 'admitted'; attempt: Attempt }
  | { kind: 'throttled'; by: 'pair' | 'address' | 'account'; retryAfterMs: number }

/** One attempt under way, counted as failed. */
export interface Attempt {
  /** It was right: not a failure after all, and this address is known to the account now. */
  succeeded(): void
  /** Nobody could look: it counts for nothing. */
  withdraw(): void
  /** It stays counted. @returns how long the answer should wait */
  failed(): number
}

interface Count {
  value: number
  at: number
}

export class Throttle {
  readonly #settings: ThrottleSettings
  readonly #now: () => number
  readonly #pairs: BoundedMap<string, Count>
  readonly #addresses: BoundedMap<string, Count>
  readonly #accounts: BoundedMap<string, Count>
  /** Pairs that have logged in. */
  readonly #known: BoundedMap<string, true>
  /** When strangers may try an account over its limit again. */
  readonly #nextStranger: BoundedMap<string, number>

  /** @param now milliseconds of a clock that is never set back */
  constructor(settings: ThrottleSettings, now: () => number) {
    this.#settings = settings
    this.#now = now
    this.#pairs = new BoundedMap(settings.maxEntries)
    this.#addresses = new BoundedMap(settings.maxEntries)
    this.#accounts = new BoundedMap(settings.maxEntries)
    this.#known = new BoundedMap(settings.maxEntries)
    this.#nextStranger = new BoundedMap(settings.maxEntries)
  }

  get entries(): number {
    return this.#pairs.size + this.#addresses.size + this.#accounts.size + this.#known.size
  }

  /** @param account the username, folded; it need not exist */
  admit(account: string, clientAddress: string): Admission {
    const address = networkOf(clientAddress)
    const pair = `${account} ${address}`
    const { pairLimit, addressLimit } = this.#settings
    const over = this.#over(this.#pairs, pair, pairLimit)
    if (over > 0) return { kind: 'throttled', by: 'pair', retryAfterMs: over }
    const overAddress = this.#over(this.#addresses, address, addressLimit)
    if (overAddress > 0) return { kind: 'throttled', by: 'address', retryAfterMs: overAddress }
    const stranger = this.#known.get(pair) ? 0 : this.#strangerWait(account)
    if (stranger > 0) return { kind: 'throttled', by: 'account', retryAfterMs: stranger }
    this.#add(this.#pairs, pair, 1)
    this.#add(this.#addresses, address, 1)
    this.#add(this.#accounts, account, 1)
    return { kind: 'admitted', attempt: this.#attempt(account, address, pair) }
  }

  #attempt(account: string, address: string, pair: string): Attempt {
    const takeBack = () => {
      this.#add(this.#pairs, pair, -1)
      this.#add(this.#addresses, address, -1)
      this.#add(this.#accounts, account, -1)
    }
    return {
      succeeded: () => {
        takeBack()
        // Only the pair: whoever owns one account must not be able to wipe out what his address did to others.
        this.#pairs.delete(pair)
        this.#known.set(pair, true)
      },
      withdraw: takeBack,
      failed: () => this.#delay(account, address, pair),
    }
  }

  #delay(account: string, address: string, pair: string): number {
    const { baseDelayMs, maxDelayMs, pairLimit, addressLimit, accountLimit } = this.#settings
    const worst = Math.max(
      this.#value(this.#pairs, pair),
      (this.#value(this.#addresses, address) / addressLimit) * pairLimit,
      (this.#value(this.#accounts, account) / accountLimit) * pairLimit,
    )
    return Math.min(maxDelayMs, Math.round(baseDelayMs * 2 ** Math.max(0, worst - 1)))
  }

  /** Zero for the one stranger whose turn it is. */
  #strangerWait(account: string): number {
    if (this.#over(this.#accounts, account, this.#settings.accountLimit) === 0) return 0
    const now = this.#now()
    const wait = (this.#nextStranger.get(account) ?? 0) - now
    if (wait > 0) return wait
    this.#nextStranger.set(account, now + this.#settings.strangerIntervalMs)
    return 0
  }

  /** How long until the count is under the limit again; 0 when it is. */
  #over(counts: BoundedMap<string, Count>, key: string, limit: number): number {
    const value = this.#value(counts, key)
    if (value < limit) return 0
    // The count must fall below the limit, not onto it.
    return Math.ceil(this.#settings.halfLifeMs * Math.log2(value / limit)) + 1000
  }

  #value(counts: BoundedMap<string, Count>, key: string): number {
    const count = counts.get(key)
    return count === undefined ? 0 : count.value * 0.5 ** ((this.#now() - count.at) / this.#settings.halfLifeMs)
  }

  #add(counts: BoundedMap<string, Count>, key: string, failures: number): void {
    const value = this.#value(counts, key) + failures
    if (value <= 0) counts.delete(key)
    else counts.set(key, { value, at: this.#now() })
  }
}

/** An IPv6 client owns a whole /64, and an IPv4 client is the same one behind a mapped address. */
function networkOf(clientAddress: string): string {
  const address = clientAddress.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
  if (!address.includes(':')) return address
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const zeros = address.includes('::')
    ? Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
    : []
  const groups = [...left, ...zeros, ...right].slice(0, 4)
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}
