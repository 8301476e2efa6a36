/** Where one recipient's mail goes and how: what rules, an operator's reroute and the settings come to. */
import type { TransportPolicy, TransportTls } from '@postbus/contracts'

import type { SitePolicy } from '../lanes/site-policy.ts'

/** A way that leads to hosts. */
export type NextHopWay =
  /** `port` null: that of MX hosts. `named`: by an operator; it is not the recipient's own domain. */
  | { kind: 'mx'; domain: string; port: number | null; named: boolean }
  /** A host by name or address, no MX looked up. */
  | { kind: 'hosts' | 'lmtp'; host: string; port: number }

export type Way =
  | NextHopWay
  | { kind: 'discard' }
  | { kind: 'hold'; reason: string }
  | { kind: 'fail'; status: `5.${number}.${number}`; reason: string }

export interface Route {
  /** Limits and trouble are shared by everything with this key; one key, one policy. */
  key: string
  /** Sites of several lanes have this key: what is counted by it holds for one process, not for the cluster. */
  shared: boolean
  /** The transport rule that decided; null: none did. */
  rule: string | null
  way: Way
  tls: TransportTls
  auth: { user: string; password: string } | null
  policy: TransportPolicy
}

/** @param smarthostConcurrency what a smarthost gets unless its rule says otherwise: an operator chose it, and it takes the mail for many sites */
export function sitePolicyOf({ key, shared, policy, way }: Route, smarthostConcurrency: number): SitePolicy {
  const isSmarthost = way.kind === 'hosts' || (way.kind === 'mx' && way.named)
  return { ...(isSmarthost && { concurrency: smarthostConcurrency }), ...policy, key, shared }
}
