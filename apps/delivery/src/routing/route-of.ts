/**
 * The route of a task: an operator's reroute, else the most specific transport rule, else the smarthost of the settings, else
 * the MX hosts of its site.
 */
import type { MailOut, Transport, TransportPolicy } from '@postbus/contracts'

import type { Route } from './route.ts'
import type { TransportTable } from './transport-table.ts'

export interface Smarthost {
  host: string
  port: number
  auth: Route['auth']
}

export type Routed = Pick<MailOut, 'site' | 'reversePath' | 'submitter' | 'via' | 'released'>

/** @param lastResort takes what no rule is about */
export function routeOf(task: Routed, rules: TransportTable, lastResort: Smarthost | null): Route {
  if (task.via !== undefined) return withLifetime(rerouted(task.via, rules), rules.find(task))
  // What an operator released from a hold must not come back into it.
  const rule = rules.find(task, ({ action }) => !(task.released && action.kind === 'hold'))
  if (rule !== null) return ruled(rule, task.site)
  if (lastResort !== null) return smarthostRoute(lastResort)
  return { ...plain, key: task.site, way: { kind: 'mx', domain: task.site, port: null, named: false } }
}

/** How long a recipient may wait, in place of the platform's own limit. */
export function expiryOf(task: Pick<MailOut, 'acceptedAt' | 'expiresAt'>, { lifetimeS }: TransportPolicy): Date {
  if (lifetimeS === undefined) return new Date(task.expiresAt)
  return new Date(Date.parse(task.acceptedAt) + lifetimeS * 1000)
}

const plain = { shared: false, rule: null, tls: 'opportunistic', auth: null, policy: {} } as const

function smarthostRoute({ host, port, auth }: Smarthost): Route {
  const tls = auth === null ? 'opportunistic' : 'required'
  return { ...plain, key: `smtp:${hostPort(host, port)}`, shared: true, tls, auth, way: { kind: 'hosts', host, port } }
}

function rerouted(via: string, rules: TransportTable): Route {
  const colon = via.indexOf(':')
  const kind = via.slice(0, colon)
  const where = via.slice(colon + 1)
  const common = { ...plain, key: via, shared: true }
  if (kind === 'mx') return { ...common, way: { kind: 'mx', domain: where.toLowerCase(), port: null, named: true } }
  const last = where.lastIndexOf(':')
  const host = where.slice(0, last).replace(/^\[(.*)\]$/, '$1')
  const port = Number(where.slice(last + 1))
  if (kind === 'lmtp') return { ...common, way: { kind: 'lmtp', host, port } }
  // The host may be known: then it gets the credentials and the policy it wants.
  const known = rules.smarthost(host, port)
  if (known !== null) return { ...ruled(known, host), shared: true }
  return { ...common, way: { kind: 'hosts', host, port } }
}

/** Another way is no other recipient: it waits as long as its own rule says. */
function withLifetime(route: Route, own: Transport | null): Route {
  const { lifetimeS: _, ...policy } = route.policy
  const lifetimeS = own?.policy.lifetimeS
  return { ...route, policy: lifetimeS === undefined ? policy : { ...policy, lifetimeS } }
}

function ruled({ name, match, action, policy }: Transport, site: string): Route {
  const common = {
    rule: name,
    tls: policy.tls ?? 'opportunistic',
    auth: null,
    policy,
    shared: match.domain !== site,
  }
  switch (action.kind) {
    case 'mx': {
      // Without a sender every task of the site has this rule; with one the site has several policies.
      const key = match.sender === undefined ? site : `${site} (${name})`
      return { ...common, key, shared: false, way: { kind: 'mx', domain: site, port: null, named: false } }
    }
    case 'smarthost': {
      const { host, port, mx, username: user, password } = action
      const auth = user === undefined || password === undefined ? null : { user, password }
      const tls = policy.tls ?? (auth === null ? 'opportunistic' : 'required')
      const key = `smtp:${hostPort(host, port)} (${name})`
      return {
        ...{ ...common, key, auth, tls },
        way: mx ? { kind: 'mx', domain: host, port, named: true } : { kind: 'hosts', host, port },
      }
    }
    case 'lmtp': {
      const { host, port } = action
      return { ...common, key: `lmtp:${hostPort(host, port)} (${name})`, way: { kind: 'lmtp', host, port } }
    }
    case 'discard':
    case 'hold':
      return { ...common, key: `${site} (${name})`, way: action }
    case 'fail': {
      const { status, reason } = action
      const way = { kind: 'fail', status: isClass5(status) ? status : '5.7.1', reason } as const
      return { ...common, key: `${site} (${name})`, way }
    }
  }
}

const hostPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

const isClass5 = (status: string): status is `5.${number}.${number}` => status.startsWith('5.')
