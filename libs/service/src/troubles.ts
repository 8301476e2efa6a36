/** How many lines of warning and error there were lately, by the minute, whether they were written or not. */

const MINUTE_MS = 60_000
/** Minutes that are remembered. */
const KEPT = 15
const WARN = 40
const ERROR = 50

interface Minute {
  number: number
  warnings: number
  errors: number
}

export class Troubles {
  readonly #now: () => number
  readonly #minutes: Minute[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  /** @param weight of a line, as pino counts: 40 a warning, 50 and more an error */
  note(weight: number): void {
    if (weight < WARN) return
    const number = Math.floor(this.#now() / MINUTE_MS)
    let minute = this.#minutes.at(-1)
    if (minute?.number !== number) {
      minute = { number, warnings: 0, errors: 0 }
      this.#minutes.push(minute)
      if (this.#minutes.length > KEPT) this.#minutes.shift()
    }
    if (weight >= ERROR) minute.errors++
    else minute.warnings++
  }

  /** Of the last `minutes`, the present one included. */
  within(minutes: number): { warnings: number; errors: number } {
    const from = Math.floor(this.#now() / MINUTE_MS) - minutes
    const recent = this.#minutes.filter(({ number }) => number > from)
    return {
      warnings: recent.reduce((sum, { warnings }) => sum + warnings, 0),
      errors: recent.reduce((sum, { errors }) => sum + errors, 0),
    }
  }
}
