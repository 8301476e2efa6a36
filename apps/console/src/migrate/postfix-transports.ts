/** Next hops as Postfix writes them — transport(5), relayhost and the smtp client's settings in postconf(5). */
import { EnhancedStatus, type TransportAction, type TransportPolicy } from '@postbus/contracts'

import type { Entry } from './lookup-table.ts'
import type { MainCf } from './main-cf.ts'

export interface Way {
  action: TransportAction
  policy: TransportPolicy
}

export interface RelayTls {
  tls: TransportPolicy['tls']
  port: number
}

/** What the smtp client is told for all its sessions. */
export function relayOf(config: MainCf): RelayTls {
  if (config.get('smtp_tls_wrappermode') === 'yes') return { tls: 'implicit', port: 465 }
  const level = config.get('smtp_tls_security_level')
  const tls = level === 'none' ? 'none' : ['', 'may', 'dane'].includes(level) ? undefined : 'required'
  return { tls, port: 25 }
}

/** `[host]:port`: that host; `host:port`: the MX hosts of this name. @param sender whose credentials come first */
export function nextHopOf(hop: string, { tls, port }: RelayTls, credentials: readonly Entry[], sender?: string): Way {
  const [, literal, name, service] = /^(?:\[([^\]]+)\]|([^:]+))(?::(.+))?$/.exec(hop) ?? []
  const host = literal ?? name ?? hop
  const found = [sender, hop, host].map((key) => credentials.find((entry) => entry.key === key)?.value)
  const [, username, password] = /^([^:]+):(.*)$/s.exec(found.find((value) => value !== undefined) ?? '') ?? []
  return {
    action: {
      ...{ kind: 'smarthost', host, port: portOf(service) ?? port },
      ...(literal === undefined && { mx: true }),
      ...(username !== undefined && password !== undefined && { username, password }),
    },
    policy: tls === undefined ? {} : { tls },
  }
}

/** `transport:nexthop`; null where it has no counterpart. */
export function transportEntry(value: string, tls: RelayTls, credentials: readonly Entry[]): Way | null {
  const [, transport = '', hop = ''] = /^([^:]*):?(.*)$/s.exec(value.trim()) ?? []
  switch (transport) {
    case '':
    case 'smtp':
    case 'relay':
      return hop === '' ? { action: { kind: 'mx' }, policy: {} } : nextHopOf(hop, tls, credentials)
    case 'lmtp': {
      const [, host, service] = /^(?:inet:)?\[?([^\]/:]+)\]?(?::(\w+))?$/.exec(hop) ?? []
      return host === undefined ? null : { action: { kind: 'lmtp', host, port: portOf(service) ?? 24 }, policy: {} }
    }
    case 'discard':
      return { action: { kind: 'discard' }, policy: {} }
    case 'error': {
      const [, status = '5.1.2', reason] = /^(?:(5\.\d{1,3}\.\d{1,3})\s+)?(.*)$/s.exec(hop) ?? []
      return {
        action: {
          kind: 'fail',
          status: EnhancedStatus.parse(status),
          reason: reason || 'Mail to this domain is not delivered',
        },
        policy: {},
      }
    }
    case 'hold':
      return { action: { kind: 'hold', reason: hop || 'transport_maps' }, policy: {} }
    default:
      return null
  }
}

const SERVICES: Readonly<Record<string, number>> = { smtp: 25, submission: 587, smtps: 465, submissions: 465, lmtp: 24 }

function portOf(service: string | undefined): number | undefined {
  if (service === undefined) return undefined
  return /^\d+$/.test(service) ? Number(service) : SERVICES[service]
}
