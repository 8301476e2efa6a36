/**
 * Closed while something the handlers need is down. It opens by itself after a pause that grows from failure to failure and
 * is forgotten at the first success.
 */
import { pauseMs, sleep } from './pause.ts'

const PAUSE = { minMs: 100, maxMs: 30_000 }

export class Gate {
  readonly #onChange: (closedForMs: number) => void
  #failures = 0
  #opensAt = 0

  /** @param onChange told at each closing, for how long */
  constructor(onChange: (closedForMs: number) => void) {
    this.#onChange = onChange
  }

  get open(): boolean {
    return performance.now() >= this.#opensAt
  }

  get opensInMs(): number {
    return Math.max(0, this.#opensAt - performance.now())
  }

  /** Many failures of one outage count once: those that had begun before the gate closed say nothing new. */
  failed(): void {
    if (!this.open) return
    const ms = pauseMs(this.#failures++, PAUSE)
    this.#opensAt = performance.now() + ms
    this.#onChange(ms)
  }

  succeeded(): void {
    this.#failures = 0
    this.#opensAt = 0
  }

  /** Resolves when it is open, or when the signal aborts. */
  async passed(signal: AbortSignal): Promise<void> {
    while (!this.open && !signal.aborted) await sleep(this.opensInMs, signal)
  }
}
