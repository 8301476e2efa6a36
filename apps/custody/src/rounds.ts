/** Work that comes round: one at a time, a pause between two, and a failure only costs its own turn. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface Round {
  name: string
  /** Between the end of one turn and the begin of the next. */
  pauseMs: number
  /** May return a longer pause before the next turn. */
  turn(signal: AbortSignal): Promise<number | undefined>
}

/** Resolves when the signal aborted and every turn has ended. */
export async function keepRound(
  rounds: readonly Round[],
  signal: AbortSignal,
  failed: (name: string, error: unknown) => void,
): Promise<void> {
  await Promise.all(
    rounds.map(async ({ name, pauseMs, turn }) => {
      while (!signal.aborted) {
        let longerMs = 0
        try {
          longerMs = (await turn(signal)) ?? 0
        } catch (error) {
          if (!signal.aborted) failed(name, error)
        }
        await pause(Math.max(pauseMs, longerMs), signal)
      }
    }),
  )
}

/** Ends early, and without an error, when the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
