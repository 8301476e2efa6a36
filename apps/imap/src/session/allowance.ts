/** What several have together: each takes its part and gives it back. */
export class Allowance {
  #left: number

  constructor(total: number) {
    this.#left = total
  }

  /** @returns whether there was so much left */
  take(amount: number): boolean {
    if (amount > this.#left) return false
    this.#left -= amount
    return true
  }

  giveBack(amount: number): void {
    this.#left += amount
  }
}
