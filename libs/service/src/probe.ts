/** Looks again and again whether something outside works, for readiness; what was found last holds until the next look. */

export interface ProbeOptions {
  everyMs: number
  signal: AbortSignal
}

export interface Probe {
  /** Why not, or null. */
  readonly reason: string | null
  stop(): void
}

/** A look that takes longer has failed. */
const PATIENCE_MS = 2_000
/** After a look that failed: at a start everything waits for something else, and not for long. */
const AGAIN_MS = 250

/** @param check throws when it does not work; the error's text is the reason */
export function keepProbing(
  what: string,
  check: (signal: AbortSignal) => Promise<unknown>,
  { everyMs, signal }: ProbeOptions,
): Probe {
  let reason: string | null = `${what}: not looked at yet`
  let timer: NodeJS.Timeout | undefined
  const stopping = new AbortController()
  const over = AbortSignal.any([signal, stopping.signal])

  async function look(): Promise<void> {
    const late = AbortSignal.timeout(PATIENCE_MS)
    const expired = new Promise<never>((_, reject) => {
      late.addEventListener('abort', () => reject(new Error(`no answer in ${PATIENCE_MS / 1000} s`)), { once: true })
    })
    try {
      await Promise.race([check(AbortSignal.any([over, late])), expired])
      reason = null
    } catch (error) {
      reason = `${what}: ${error instanceof Error ? error.message : String(error)}`
    }
    if (over.aborted) return
    timer = setTimeout(() => void look(), reason === null ? everyMs : Math.min(AGAIN_MS, everyMs)).unref()
  }

  void look()
  return {
    get reason() {
      return reason
    },
    stop() {
      stopping.abort()
      clearTimeout(timer)
    },
  }
}
