/**
 * Whose turn it is inside a site: submitters one after the other, and each one's items in the order they came. Nobody waits for more
 * than one item of each other submitter, however many those have waiting.
 */
import Denque from 'denque'

interface Submitter<Item> {
  name: string
  items: Denque<Item>
  /** Items that were not taken back. */
  size: number
  /** Items announced, that may not have a turn yet. */
  coming: number
  inRound: boolean
}

export class SubmitterTurns<Item extends object> {
  readonly #submitters = new Map<string, Submitter<Item>>()
  /** Those with an item whose turn it may be. */
  readonly #round = new Denque<Submitter<Item>>()
  /** What was taken back stays where it is until its turn: to find it there would cost a search. */
  readonly #live = new Map<Item, Submitter<Item>>()
  #coming = 0

  /** Items that may have their turn. */
  get size(): number {
    return this.#live.size
  }

  /** Of those and of those announced, none. */
  get empty(): boolean {
    return this.#live.size === 0 && this.#coming === 0
  }

  /** An item of this submitter will be added, or called off. */
  announce(name: string): void {
    let submitter = this.#submitters.get(name)
    if (submitter === undefined) {
      submitter = { name, items: new Denque(), size: 0, coming: 0, inRound: false }
      this.#submitters.set(name, submitter)
    }
    submitter.coming++
    this.#coming++
  }

  callOff(name: string): void {
    const submitter = this.#arrived(name)
    if (submitter !== undefined) this.#forget(submitter)
  }

  /** One that was announced. */
  add(name: string, item: Item): void {
    const submitter = this.#arrived(name)
    if (submitter === undefined) return
    submitter.items.push(item)
    submitter.size++
    this.#live.set(item, submitter)
    if (submitter.inRound) return
    submitter.inRound = true
    this.#round.push(submitter)
  }

  remove(item: Item): void {
    const submitter = this.#live.get(item)
    if (submitter === undefined) return
    this.#live.delete(item)
    submitter.size--
    this.#forget(submitter)
  }

  next(): Item | undefined {
    for (let submitter = this.#round.shift(); submitter !== undefined; submitter = this.#round.shift()) {
      const item = this.#take(submitter, 'shift')
      submitter.inRound = submitter.size > 0
      if (submitter.inRound) this.#round.push(submitter)
      if (item !== undefined) return item
    }
    return undefined
  }

  /** How many come before another one of this submitter, at most. */
  ahead(name: string): number {
    const { size = 0, coming = 0 } = this.#submitters.get(name) ?? {}
    const others = this.#submitters.size - (this.#submitters.has(name) ? 1 : 0)
    const own = size + coming
    return Math.min(this.size + this.#coming, own + others * (own + 1))
  }

  /** Takes out the last ones until at most so many are left, first of those who have more than their share. */
  *beyond(size: number): Iterable<Item> {
    const share = Math.max(1, Math.floor(size / this.#submitters.size))
    for (const submitter of this.#submitters.values()) {
      while (submitter.size > share) {
        const item = this.#take(submitter, 'pop')
        if (item !== undefined) yield item
      }
    }
    // More submitters than places: each has one item left, and those whose turn comes last lose it.
    while (this.size > size) {
      const submitter = this.#round.pop()
      if (submitter === undefined) return
      submitter.inRound = false
      const item = this.#take(submitter, 'pop')
      if (item !== undefined) yield item
    }
  }

  *all(): Iterable<Item> {
    for (let item = this.next(); item !== undefined; item = this.next()) yield item
  }

  #arrived(name: string): Submitter<Item> | undefined {
    const submitter = this.#submitters.get(name)
    if (submitter === undefined || submitter.coming === 0) return undefined
    submitter.coming--
    this.#coming--
    return submitter
  }

  #take(submitter: Submitter<Item>, end: 'shift' | 'pop'): Item | undefined {
    const { items } = submitter
    for (let item = items[end](); item !== undefined; item = items[end]()) {
      if (!this.#live.has(item)) continue
      this.remove(item)
      return item
    }
    return undefined
  }

  #forget({ name, size, coming }: Submitter<Item>): void {
    if (size === 0 && coming === 0) this.#submitters.delete(name)
  }
}
