/** Work that goes on side by side and is answered in the order it came. */
export class InOrder {
  #last: Promise<void> = Promise.resolve()
  #size = 0

  /** Not answered yet. */
  get size(): number {
    return this.#size
  }

  /** Resolves when everything added so far has been answered. */
  get settled(): Promise<void> {
    return this.#last
  }

  /** @param answer is called in its turn; it must not throw */
  add<Result>(work: Promise<Result>, answer: (result: PromiseSettledResult<Result>) => void): void {
    const earlier = this.#last
    const settled = Promise.allSettled([work])
    this.#size++
    this.#last = (async () => {
      await earlier
      const [result] = await settled
      this.#size--
      answer(result)
    })()
  }
}
