/** Asks those who do the work whether it is done: a lost status is not a lost task. */
import { type Bus, BusUnavailable } from '@postbus/bus'
import { findDeliveries, findOutcomes, type Status } from '@postbus/contracts'

import type { ReconcilePorts } from '../reconcile/ports.ts'
import type { Overdue } from '../tracking/books.ts'
import type { RecipientStatus } from '../tracking/order.ts'

/** What one request may name. */
const PAGE = 500

export function ownersOver(bus: Pick<Bus, 'request'>): ReconcilePorts['askOwners'] {
  return async (rows) => {
    const told = new Map<Overdue, RecipientStatus>()
    const note = (row: Overdue | undefined, status: Status | null): void => {
      if (row && status && status.kind !== 'routed') told.set(row, status)
    }
    const local = rows.filter(({ tracked }) => accountOf(tracked) !== null)
    const remote = rows.filter(({ tracked }) => siteOf(tracked) !== '')
    try {
      for (const page of pages(local)) {
        const keys = page.flatMap(({ queueId, tracked }) => {
          const account = accountOf(tracked)
          return account === null ? [] : [{ queueId, account }]
        })
        const { deliveredAt } = await bus.request(findDeliveries, { keys })
        for (const [index, at] of deliveredAt.entries()) {
          const row = page[index]
          const account = row && accountOf(row.tracked)
          if (at === null || !row || !account) continue
          const { queueId, incarnation, tracked } = row
          note(row, { kind: 'delivered', queueId, incarnation, n: tracked.n, attempt: 0, at, account })
        }
      }
      for (const page of pages(remote)) {
        const tasks = page.map(({ queueId, tracked }) => ({ queueId, n: tracked.n, site: siteOf(tracked) }))
        const { outcomes } = await bus.request(findOutcomes, { tasks })
        for (const [index, outcome] of outcomes.entries()) note(page[index], outcome)
      }
    } catch (error) {
      if (error instanceof BusUnavailable) return null
      throw error
    }
    return told
  }
}

function accountOf({ listing }: Overdue['tracked']): string | null {
  const destination = listing?.final.destination
  return destination?.kind === 'local' ? destination.account : null
}

function siteOf({ listing }: Overdue['tracked']): string {
  const destination = listing?.final.destination
  return destination?.kind === 'remote' ? destination.site : ''
}

function* pages<Row>(rows: readonly Row[]): Iterable<Row[]> {
  for (let from = 0; from < rows.length; from += PAGE) yield rows.slice(from, from + PAGE)
}
