/** Whether a profile can have its ports. Asked before anything is started: a service without its port would be started for ever. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 100

export interface Endpoint {
  host: string
  port: number
}

export interface Patience {
  /** How long a port that is in use is waited for: the processes of a start that was killed may still drain. */
  ms: number
  signal: AbortSignal
  waiting(why: string): void
}

/** @returns null when all can be listened on, or the signal came; else which one cannot, and why */
export async function whyNotFree(
  endpoints: readonly Endpoint[],
  { ms, signal, waiting }: Patience,
): Promise<string | null> {
  const deadline = Date.now() + ms
  let told = false
  for (const { host, port } of endpoints) {
    for (;;) {
      const code = await failureOf(host, port)
      if (code === null || signal.aborted) break
      if (code !== 'EADDRINUSE') return `cannot listen on ${host} port ${port} (${code})`
      const why = `port ${port} of ${host} is in use by another program`
      if (Date.now() > deadline) return why
      if (!told) waiting(why)
      told = true
      await pause(POLL_MS)
    }
  }
  return null
}

/** @returns the system's code; null when it can be listened on */
async function failureOf(host: string, port: number): Promise<string | null> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return null
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}
