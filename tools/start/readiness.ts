/** Waits until every instance says it is ready, and tells what those that are not are waiting for. */
import { setTimeout as pause } from 'node:timers/promises'

import type { Instance } from './plan.ts'

const POLL_MS = 50

export interface Waiting {
  timeoutMs: number
  /** Told once who is waited for, and why, when it has been so long. */
  slowMs: number
  slow(why: string): void
  signal: AbortSignal
}

/** @returns null when all are ready, else who is not and why. */
export async function untilReady(
  host: string,
  instances: readonly Pick<Instance, 'name' | 'healthPort'>[],
  { timeoutMs, slowMs, slow, signal }: Waiting,
): Promise<string | null> {
  const began = Date.now()
  let told = false
  let reasons = new Map<string, string>()
  while (!signal.aborted) {
    const answers = await Promise.all(
      instances.map(async ({ name, healthPort }) => [name, await whyNotReady(host, healthPort)] as const),
    )
    reasons = new Map(answers.filter((answer): answer is [string, string] => answer[1] !== null))
    if (reasons.size === 0) return null
    const waited = Date.now() - began
    const why = [...reasons].map(([name, reason]) => `${name} (${reason})`).join(', ')
    if (waited > timeoutMs) return `not ready in time: ${why}`
    if (waited > slowMs && !told) {
      slow(why)
      told = true
    }
    await pause(POLL_MS)
  }
  return null
}

async function whyNotReady(host: string, port: number): Promise<string | null> {
  try {
    const response = await fetch(`http://${host}:${port}/readyz`, { signal: AbortSignal.timeout(2000) })
    return response.ok ? null : (await response.text()).trim().slice(0, 200)
  } catch {
    return 'no answer'
  }
}
