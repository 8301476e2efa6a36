/** How many tasks of each lane are in hand: a lane whose hands are full hears of nobody new, fast as that one's site may be. */

/** From here on a lane has hardly room for others. */
const CROWDED = 0.8

export class Hands {
  readonly #inHand = new Map<string, number>()
  readonly #crowd: number

  /** @param window so many tasks of a lane are in hand at most */
  constructor(window: number) {
    this.#crowd = CROWDED * window
  }

  crowded(lane: string): boolean {
    return (this.#inHand.get(lane) ?? 0) >= this.#crowd
  }

  /** The same handler; whoever is in it is counted. */
  counted<Args extends unknown[], Result>(
    lane: string,
    handler: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Promise<Result> {
    return async (...args) => {
      this.#add(lane, 1)
      try {
        return await handler(...args)
      } finally {
        this.#add(lane, -1)
      }
    }
  }

  #add(lane: string, count: number): void {
    this.#inHand.set(lane, (this.#inHand.get(lane) ?? 0) + count)
  }
}
