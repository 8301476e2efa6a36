/**
 * Room on the bus that new work leaves to the work in hand. Everything that ends a task publishes before it acknowledges: with the
 * account full to the brim nothing could end any more, and nothing would ever make room again.
 *
 * Who brings new work stops when less than a tenth is left. The account's use is asked for about once a second, and sooner when
 * much was published meanwhile.
 */
import type { Connection } from './connection.ts'

/** Of the account's limit, for what ends tasks. */
const RESERVE = 0.1
const ASK_EVERY_MS = 1000
/** Asked again at once after so much of the reserve, as others publish as well. */
const SHARE_UNASKED = 0.1
/** While it is closed everybody waits for the answer; so often at most. */
const ASK_CLOSED_EVERY_MS = 100
const TIMEOUT_MS = 2000
/** What the stream stores beside the payload: subject, headers, its own record. */
const OVERHEAD_BYTES = 300

interface AccountInfo {
  storage?: number
  limits?: { max_storage?: number }
}

export class Reserve {
  readonly #connection: Pick<Connection, 'ask' | 'connected'>
  readonly #now: () => number
  #open = true
  #askedAt = -Infinity
  #unasked = 0
  #mayGoUnasked = 0
  #asking: Promise<void> | undefined

  constructor(connection: Pick<Connection, 'ask' | 'connected'>, now: () => number = () => performance.now()) {
    this.#connection = connection
    this.#now = now
  }

  /** Whether new work of so many octets may be published. Where nobody can say, the publication itself will tell. */
  async admits(bytes: number): Promise<boolean> {
    const age = this.#now() - this.#askedAt
    const stale = this.#open ? age >= ASK_EVERY_MS || this.#unasked > this.#mayGoUnasked : age >= ASK_CLOSED_EVERY_MS
    if (stale && this.#connection.connected) await this.#ask()
    this.#unasked += bytes + OVERHEAD_BYTES
    return this.#open
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #askOnce(): Promise<void> {
    const outcome = await this.#connection.ask('$JS.API.INFO', '', { timeoutMs: TIMEOUT_MS })
    this.#askedAt = this.#now()
    this.#unasked = 0
    if (outcome.kind !== 'answer') return
    const { storage = 0, limits } = outcome.message.json<AccountInfo>()
    const most = limits?.max_storage ?? -1
    this.#mayGoUnasked = most * RESERVE * SHARE_UNASKED
    // -1: no limit.
    this.#open = most <= 0 || storage < most * (1 - RESERVE)
    if (most <= 0) this.#mayGoUnasked = Infinity
  }
}
