/**
 * The transport rules, as the directory has them: read at the start, when the directory says that something changed, when the
 * bus was away, and now and then, because a hint may be lost. While the directory is away the rules that are known hold.
 */
import { type Bus, DependencyUnavailable } from '@postbus/bus'
import { DirectoryChanged, type Transport, transports } from '@postbus/contracts'

import { TransportTable } from '../routing/transport-table.ts'

export interface Transports {
  /** @throws DependencyUnavailable they have never been read: without them mail might go the wrong way */
  current(): TransportTable
  stop(): Promise<void>
}

export interface TransportsOptions {
  /** They are read again after so long. */
  refreshMs: number
  /** Once for each time the directory stops answering. */
  failed(cause: unknown): void
}

const RETRY_MS = 1000
/** Changes between the pages of one reading; the next reading has better luck. */
const MAX_RESTARTS = 5

export function keepTransports(
  bus: Pick<Bus, 'request' | 'listen' | 'onReconnect'>,
  { refreshMs, failed }: TransportsOptions,
): Transports {
  let table: TransportTable | null = null
  let stopped = false
  /** Something may have changed since the last reading began. */
  let stale = true
  let wake = (): void => {}
  const changed = (): void => {
    stale = true
    wake()
  }
  const hints = [bus.listen(DirectoryChanged, changed), bus.onReconnect(changed)]

  async function keep(): Promise<void> {
    let failing = false
    while (!stopped) {
      stale = false
      try {
        table = new TransportTable(await readAll(bus))
        failing = false
      } catch (cause) {
        if (!failing) failed(cause)
        failing = true
      }
      if (!stale || failing) await pause(failing ? RETRY_MS : refreshMs)
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (stopped) wake()
    })
  }

  const keeping = keep()
  return {
    current() {
      if (table === null) throw new DependencyUnavailable('the directory has not said where mail goes')
      return table
    },
    async stop() {
      stopped = true
      wake()
      await Promise.all(hints.map((hint) => hint.stop()))
      await keeping
    },
  }
}

/** All pages of one revision. */
async function readAll(bus: Pick<Bus, 'request'>): Promise<Transport[]> {
  for (let restart = 0; restart < MAX_RESTARTS; restart++) {
    const all: Transport[] = []
    const revisions = new Set<number>()
    for (let more = true; more && revisions.size < 2;) {
      const last = all.at(-1)
      const page = await bus.request(transports, last === undefined ? {} : { after: last.name })
      revisions.add(page.revision)
      all.push(...page.transports)
      more = page.more
    }
    if (revisions.size === 1) return all
  }
  throw new Error('the transport rules change faster than they can be read')
}
