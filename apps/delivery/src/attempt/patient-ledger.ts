/**
 * A ledger for a disk that may be full. What a peer has answered cannot be asked again without a second copy, so an outcome is
 * committed again and again until it is there; meanwhile nothing new is attempted, for it could not be noted either.
 */
import { type Ledger, LedgerUnavailable } from './ledger.ts'

export interface PatientLedger extends Ledger {
  /** @throws LedgerUnavailable while an outcome waits to be committed: an attempt must not begin. */
  check(): void
}

export interface PatientPorts {
  /** Resolves after so long (ms), or sooner when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Told when the first outcome has to wait, and when none does any more. */
  waiting(error: LedgerUnavailable): void
  recovered(): void
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/** @param ledger whose `commit` throws LedgerUnavailable when nothing was stored for no fault of the entry */
export function patientLedger(ledger: Ledger, { sleep, waiting, recovered }: PatientPorts): PatientLedger {
  const closing = new AbortController()
  let troubled = 0

  async function untilCommitted(entry: Parameters<Ledger['commit']>[0], first: LedgerUnavailable): Promise<void> {
    if (troubled++ === 0) waiting(first)
    try {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        await sleep(pauseMs, closing.signal)
        try {
          return await ledger.commit(entry)
        } catch (error) {
          if (!(error instanceof LedgerUnavailable) || closing.signal.aborted) throw error
        }
      }
    } finally {
      if (--troubled === 0) recovered()
    }
  }

  return {
    find: (key) => ledger.find(key),
    async commit(entry) {
      try {
        await ledger.commit(entry)
      } catch (error) {
        if (!(error instanceof LedgerUnavailable)) throw error
        await untilCommitted(entry, error)
      }
    },
    check() {
      if (troubled > 0) throw new LedgerUnavailable(`${troubled} outcomes wait to be written to the ledger`)
    },
    prune: (before, limit) => ledger.prune(before, limit),
    async close() {
      closing.abort()
      await ledger.close()
    },
  }
}
