/** Each running copy of a service, by its health port: whether it lives, and what it waits for. */
import { error, type Finding, ok, warning } from './finding.ts'

export interface ServiceState {
  /** `router-2` */
  name: string
  /** Null: nobody answers. */
  health: { ready: boolean; reasons: string[] } | null
}

export function judgeService({ name, health }: ServiceState): Finding {
  if (health === null) return error(name, 'does not answer on its health port', `see the end of the log of ${name}`)
  return health.ready
    ? ok(name, 'ready')
    : warning(name, `not ready: ${health.reasons.join('; ')}`, 'wait for, or start, what it names')
}
