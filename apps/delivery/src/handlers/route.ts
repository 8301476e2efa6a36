/** delivery.route: where mail to an address would go now. */
import { type Bus, RequestRefused, type Stoppable } from '@postbus/bus'
import { explainRoute } from '@postbus/contracts'
import { normalizeDomain, parseAddress } from '@postbus/smtp'
import type { z } from 'zod'

import type { Destination } from '../attempt/destination.ts'
import type { Routed } from '../routing/route-of.ts'
import type { NextHopWay, Route } from '../routing/route.ts'

type Explanation = z.input<typeof explainRoute.output>

export interface RoutePorts {
  routeOf(task: Routed): Route
  destination(way: NextHopWay): Promise<Destination>
}

export function answerRoute(bus: Pick<Bus, 'answer'>, { routeOf, destination }: RoutePorts): Promise<Stoppable> {
  return bus.answer(explainRoute, async ({ recipient, sender, account, via }) => {
    const domain = parseAddress(recipient)?.domain
    const site = normalizeDomain(domain ?? '')
    if (site === null)
      throw new RequestRefused('invalid', `recipient: '${recipient}' is no address (local-part@domain)`)
    const route = routeOf({ site, reversePath: sender, submitter: account, via })
    return { ...described(route), ...(await endOf(route, destination)) }
  })
}

function described({ rule, way, tls, auth, key, policy }: Route): Omit<Explanation, 'hosts'> {
  return {
    ...(rule !== null && { rule }),
    ...(auth !== null && { username: auth.user }),
    ...{ way: way.kind, tls, key, policy },
  }
}

async function endOf(
  { way }: Route,
  destination: RoutePorts['destination'],
): Promise<Pick<Explanation, 'hosts' | 'instead'>> {
  switch (way.kind) {
    case 'discard':
      return { hosts: [], instead: { reason: 'taken off the queue; nobody is told' } }
    case 'hold':
      return { hosts: [], instead: { reason: way.reason } }
    case 'fail':
      return { hosts: [], instead: { status: way.status, reason: way.reason } }
    default: {
      const found = await destination(way).catch((cause: unknown) => ({
        kind: 'temporary' as const,
        status: '4.4.3' as const,
        reason: `DNS cannot tell: ${cause instanceof Error ? cause.message : String(cause)}`,
      }))
      if (found.kind === 'hosts') return { hosts: found.hosts }
      return { hosts: [], instead: { status: found.status, reason: found.reason } }
    }
  }
}
