/** Wakes one waiter. A ring that nobody waited for is kept for the next wait; many rings are one. */
export class Bell {
  #rung = false
  #wake: () => void = () => undefined

  ring(): void {
    this.#rung = true
    this.#wake()
  }

  /** Resolves when it rings, or after so long. */
  async wait(waitMs: number): Promise<void> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer = setTimeout(resolve, waitMs)
      await promise
      clearTimeout(timer)
      this.#wake = () => undefined
    }
    this.#rung = false
  }
}
