/**
 * What was not found at its first look. Something is lost only if a second look, long enough after the first, finds nothing
 * either and nothing was heard of it meanwhile. Time is the process's own: a step of the wall clock must not make mail look
 * lost. A leader that dies takes its suspicions with it; its successor begins anew.
 */
export interface SuspectOptions {
  /** Between the two looks at least. */
  gapMs: number
  /** More are not kept; they wait for the next pass. */
  max: number
  /** Monotonic. */
  now(): number
}

export type Suspicion = 'first' | 'early' | 'second'

export class Suspects {
  readonly #since = new Map<string, { at: number; version: string }>()
  readonly #options: SuspectOptions

  constructor(options: SuspectOptions) {
    this.#options = options
  }

  /**
   * Nothing was found at any place of `key`.
   * @param version what the books say of it; when that changed, it has moved and is no suspect any more
   */
  notFound(key: string, version: string): Suspicion {
    const known = this.#since.get(key)
    const now = this.#options.now()
    if (known === undefined || known.version !== version) {
      this.#since.delete(key)
      if (this.#since.size < this.#options.max) this.#since.set(key, { at: now, version })
      return 'first'
    }
    return now - known.at < this.#options.gapMs ? 'early' : 'second'
  }

  cleared(key: string): void {
    this.#since.delete(key)
  }

  get size(): number {
    return this.#since.size
  }
}
