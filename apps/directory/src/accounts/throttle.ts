/**
 * Slows down who guesses passwords. Failures are counted, and fade, three ways:
 *
 *   by pair     account and client address: one client guessing at one account is stopped soon
 *   by address  one client guessing at many accounts; higher, since many people may share an address
 *   by account  many clients guessing at one account. Beyond the limit, addresses this account has logged in from before go on
 *               as if nothing happened, and all others together get one attempt per interval. So guessing from everywhere
 *               stays slow, and cannot lock the owner out of the devices in use.
 *
 * Unknown accounts count like known ones. While attempts are under way that could exhaust a limit, the next ones wait for what comes of
 * them: a thousand wrong ones sent at once are not a thousand free ones, and a thousand right ones are no failures. Memory is bounded;
 * what is forgotten under a flood of addresses starts anew.
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
  /** Attempts that wait for others at most. */
  maxWaiting: number
}

export type Admission =
  | { kind: 'admitted'; attempt: Attempt }
  | { kind: 'throttled'; by: 'pair' | 'address' | 'account' | 'load'; retryAfterMs: number }

/** One attempt under way. Exactly one of these is called. */
export interface Attempt {
  /** It was right, and this address is known to the account now. */
  succeeded(): void
  /** Nobody could look: it counts for nothing. */
  withdraw(): void
  /** @returns how long the answer should wait */
  failed(): number
}

/** For those who need not wait as long as a count fades. */
export const BUSY_RETRY_MS = 5000

export class Throttle {
  readonly #settings: ThrottleSettings
  readonly #now: () => number
  readonly #pairs: Failures
  readonly #addresses: Failures
  readonly #accounts: Failures
  /** Pairs that have logged in. */
  readonly #known: BoundedMap<string, true>
  /** When strangers may try an account over its limit again. */
  readonly #nextStranger: BoundedMap<string, number>
  #waiting: (() => void)[] = []

  /** @param now milliseconds of a clock that is never set back */
  constructor(settings: ThrottleSettings, now: () => number) {
    const { pairLimit, addressLimit, accountLimit, maxEntries } = settings
    this.#settings = settings
    this.#now = now
    this.#pairs = new Failures(pairLimit, settings, now)
    this.#addresses = new Failures(addressLimit, settings, now)
    this.#accounts = new Failures(accountLimit, settings, now)
    this.#known = new BoundedMap(maxEntries)
    this.#nextStranger = new BoundedMap(maxEntries)
  }

  get entries(): number {
    return this.#pairs.size + this.#addresses.size + this.#accounts.size + this.#known.size
  }

  /** @param account the username, folded; it need not exist */
  async admit(account: string, clientAddress: string): Promise<Admission> {
    const address = networkOf(clientAddress)
    for (;;) {
      const admission = this.#admitNow(account, address)
      if (admission !== null) return admission
      if (this.#waiting.length >= this.#settings.maxWaiting) {
        return { kind: 'throttled', by: 'load', retryAfterMs: BUSY_RETRY_MS }
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Null: that depends on what comes of others. */
  #admitNow(account: string, address: string): Admission | null {
    const pair = `${account} ${address}`
    const over = this.#pairs.over(pair)
    if (over > 0) return { kind: 'throttled', by: 'pair', retryAfterMs: over }
    const overAddress = this.#addresses.over(address)
    if (overAddress > 0) return { kind: 'throttled', by: 'address', retryAfterMs: overAddress }
    const isStranger = this.#known.get(pair) === undefined
    if (this.#pairs.mayExhaust(pair) || this.#addresses.mayExhaust(address)) return null
    if (isStranger && this.#accounts.mayExhaust(account)) return null
    const stranger = isStranger ? this.#strangerWait(account) : 0
    if (stranger > 0) return { kind: 'throttled', by: 'account', retryAfterMs: stranger }
    return { kind: 'admitted', attempt: this.#attempt(account, address, pair) }
  }

  #attempt(account: string, address: string, pair: string): Attempt {
    const counts: [Failures, string][] = [
      [this.#pairs, pair],
      [this.#addresses, address],
      [this.#accounts, account],
    ]
    for (const [failures, key] of counts) failures.begin(key)
    const end = (failed: boolean): void => {
      for (const [failures, key] of counts) failures.end(key, failed)
      const waiting = this.#waiting
      this.#waiting = []
      for (const lookAgain of waiting) lookAgain()
    }
    return {
      succeeded: () => {
        // Only the pair: whoever owns one account must not be able to wipe out what his address did to others.
        this.#pairs.forget(pair)
        this.#known.set(pair, true)
        end(false)
      },
      withdraw: () => end(false),
      failed: () => {
        end(true)
        return this.#delay(account, address, pair)
      },
    }
  }

  #delay(account: string, address: string, pair: string): number {
    const { baseDelayMs, maxDelayMs, pairLimit, addressLimit, accountLimit } = this.#settings
    const worst = Math.max(
      this.#pairs.value(pair),
      (this.#addresses.value(address) / addressLimit) * pairLimit,
      (this.#accounts.value(account) / accountLimit) * pairLimit,
    )
    return Math.min(maxDelayMs, Math.round(baseDelayMs * 2 ** Math.max(0, worst - 1)))
  }

  /** Zero for the one stranger whose turn it is. */
  #strangerWait(account: string): number {
    if (this.#accounts.over(account) === 0) return 0
    const now = this.#now()
    const wait = (this.#nextStranger.get(account) ?? 0) - now
    if (wait > 0) return wait
    this.#nextStranger.set(account, now + this.#settings.strangerIntervalMs)
    return 0
  }
}

interface Count {
  value: number
  at: number
}

/** Of one way to count: what failed, fading, and what is under way. */
class Failures {
  readonly #limit: number
  readonly #halfLifeMs: number
  readonly #now: () => number
  readonly #counts: BoundedMap<string, Count>
  readonly #open = new Map<string, number>()

  constructor(
    limit: number,
    { halfLifeMs, maxEntries }: Pick<ThrottleSettings, 'halfLifeMs' | 'maxEntries'>,
    now: () => number,
  ) {
    this.#limit = limit
    this.#halfLifeMs = halfLifeMs
    this.#now = now
    this.#counts = new BoundedMap(maxEntries)
  }

  get size(): number {
    return this.#counts.size
  }

  value(key: string): number {
    const count = this.#counts.get(key)
    return count === undefined ? 0 : count.value * 0.5 ** ((this.#now() - count.at) / this.#halfLifeMs)
  }

  /** How long until the count is under the limit again; 0 when it is. */
  over(key: string): number {
    const value = this.value(key)
    if (value < this.#limit) return 0
    // The count must fall below the limit, not onto it.
    return Math.ceil(this.#halfLifeMs * Math.log2(value / this.#limit)) + 1000
  }

  /** Whether the limit is reached if all that is under way fails; once it is reached, that is no question any more. */
  mayExhaust(key: string): boolean {
    const value = this.value(key)
    return value < this.#limit && value + (this.#open.get(key) ?? 0) >= this.#limit
  }

  begin(key: string): void {
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
  }

  end(key: string, failed: boolean): void {
    const left = (this.#open.get(key) ?? 0) - 1
    if (left > 0) this.#open.set(key, left)
    else this.#open.delete(key)
    if (failed) this.#counts.set(key, { value: this.value(key) + 1, at: this.#now() })
  }

  forget(key: string): void {
    this.#counts.delete(key)
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
