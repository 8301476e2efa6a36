/**
 * Owns as many lanes as it can get: each lane has one owner at a time, by lease, so that a site's limits hold for the whole
 * cluster. A lane whose lease is lost is given up at once; whoever takes it next gets its open tasks again.
 */
export interface OwnedLane {
  lost: AbortSignal
  release(): Promise<void>
}

export interface LanePorts {
  acquire(lane: string, signal: AbortSignal): Promise<OwnedLane>
  /** Starts handling the lane's tasks; the result stops it. */
  work(lane: string): Promise<{ stop(): Promise<void> }>
  /** A lane could not be worked on; tried again. */
  failed(lane: string, cause: unknown): void
  owned(count: number): void
}

const RETRY_MS = 1000

/** Runs until the signal; resolves when every lane is given up. */
export async function ownLanes(lanes: readonly string[], ports: LanePorts, signal: AbortSignal): Promise<void> {
  let owned = 0
  await Promise.all(
    lanes.map(async (lane) => {
      while (!signal.aborted) {
        try {
          const lease = await ports.acquire(lane, signal)
          ports.owned(++owned)
          try {
            const working = await ports.work(lane)
            await firstAbort(signal, lease.lost)
            await working.stop()
          } finally {
            ports.owned(--owned)
            await lease.release()
          }
        } catch (cause) {
          if (signal.aborted) return
          ports.failed(lane, cause)
          await firstAbort(signal, AbortSignal.timeout(RETRY_MS))
        }
      }
    }),
  )
}

function firstAbort(...signals: AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const any = AbortSignal.any(signals)
    if (any.aborted) resolve()
    else any.addEventListener('abort', () => resolve(), { once: true })
  })
}
