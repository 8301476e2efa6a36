/**
 * Owns the lanes that are this replica's. Each lane has one owner at a time, by lease, so that a site's limits hold for the whole
 * cluster; which replica that should be is worked out by each for itself.
 *
 * A lane of ours is taken as soon as it is free; one of another only when it stays free, because that one may be stuck. A lane
 * that is another's now is given up: what waits goes back, what is being attempted is finished, then the lease is free. A lane
 * whose lease is lost is given up at once; what is being attempted is kept until it is done, and nobody else gets it.
 */
import type { Clock } from './clock.ts'

export interface OwnedLane {
  lost: AbortSignal
  release(): Promise<void>
}

export interface WorkedLane {
  /** Gives back what waits; resolves when what is being attempted is done. */
  drain(): Promise<void>
  /** The same, with a deadline. */
  stop(): Promise<void>
}

export interface LanePorts {
  acquire(lane: string, options: { patienceMs: number; signal: AbortSignal }): Promise<OwnedLane>
  /** Starts handling the lane's tasks. */
  work(lane: string): Promise<WorkedLane>
  /** Whether it is this replica that should own the lane; `changed` is aborted when that may be different. */
  isOurs(lane: string): boolean
  readonly changed: AbortSignal
  /** A lane could not be worked on; tried again. */
  failed(lane: string, cause: unknown): void
  owned(count: number): void
  clock: Clock
}

export interface LaneOptions {
  /** At the start, so long for the others to make themselves known. */
  settleMs: number
  /** A lane of another is taken when it is free for so long. */
  graceMs: number
  /** A lane is given up when it is another's for so long. */
  steadyMs: number
  /** Whoever gets a lane waits so long at most for what is being attempted by who had it. */
  handOverMs: number
}

const RETRY_MS = 1000
/** Whoever did not take its lane in time will not do so a moment later. */
const KEPT_GRACES = 6

/** Runs until the signal; resolves when every lane is given up. */
export async function ownLanes(
  lanes: readonly string[],
  ports: LanePorts,
  { settleMs, graceMs, steadyMs, handOverMs }: LaneOptions,
  signal: AbortSignal,
): Promise<void> {
  /** Those given up that still finish something. */
  const draining = new Set<WorkedLane>()
  let owned = 0

  await pause(settleMs, signal)
  await Promise.all(lanes.map((lane) => own(lane)))
  await Promise.all([...draining].map((worked) => worked.stop()))

  async function own(lane: string): Promise<void> {
    while (!signal.aborted) {
      // When it is another's turn to own it the waiting begins anew.
      const either = AbortSignal.any([signal, ports.changed])
      const ours = ports.isOurs(lane)
      try {
        const lease = await ports.acquire(lane, { patienceMs: ours ? 0 : graceMs, signal: either })
        ports.owned(++owned)
        try {
          await hold(lane, lease, ours)
        } finally {
          ports.owned(--owned)
          await lease.release()
        }
      } catch (cause) {
        if (either.aborted) continue
        ports.failed(lane, cause)
        await pause(RETRY_MS, signal)
      }
    }
  }

  async function hold(lane: string, { lost }: OwnedLane, ours: boolean): Promise<void> {
    const worked = await ports.work(lane)
    const end = AbortSignal.any([signal, lost])
    if (!ours) await pause(KEPT_GRACES * graceMs, end)
    await anothers(lane, end)
    if (signal.aborted) return worked.stop()
    const drained = worked.drain()
    draining.add(worked)
    void drained.finally(() => draining.delete(worked))
    if (lost.aborted) return
    await Promise.race([drained, pause(handOverMs, end)])
    if (signal.aborted) await worked.stop()
  }

  /** Resolves when the lane has been another's for a while, or at the end. */
  async function anothers(lane: string, end: AbortSignal): Promise<void> {
    while (!end.aborted) {
      const { changed } = ports
      const either = AbortSignal.any([end, changed])
      if (ports.isOurs(lane)) await pause(Infinity, either)
      else if (await pause(steadyMs, either)) return
    }
  }

  /** @returns whether the time is over; false: the signal was aborted */
  function pause(ms: number, until: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      if (until.aborted) return resolve(false)
      const cancel = ms === Infinity ? () => {} : ports.clock.after(ms, () => end(true))
      const aborted = (): void => end(false)
      const end = (over: boolean): void => {
        cancel()
        until.removeEventListener('abort', aborted)
        resolve(over)
      }
      until.addEventListener('abort', aborted, { once: true })
    })
  }
}
