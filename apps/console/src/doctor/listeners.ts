/** Ports that clients and other sites use. */
import { error, type Finding, ok } from './finding.ts'

export interface ListenerState {
  /** `submission SUBMISSIONS_PORT` */
  name: string
  address: string
  /** Why not; null: it takes connections. */
  refused: string | null
}

export function judgeListeners(listeners: readonly ListenerState[]): Finding[] {
  const closed = listeners.filter(({ refused }) => refused !== null)
  if (closed.length === 0) return [ok('ports', `all ${listeners.length} take connections`)]
  return closed.map(({ name, address, refused }) =>
    error(
      'ports',
      `${name}: ${address} ${refused}`,
      'see whether the service runs, and whether another program has the port',
    ),
  )
}
