/**
 * mail.accepted → one decision → mail.status, then mail.local and mail.out.
 *
 * The complete list of final recipients is in MAIL_STATUS before any work is published: otherwise a task could end, and
 * custody would take the message for finished while the rest of it was never made. Safe to run twice: the route is a
 * function of the event and the directory, and every publication carries its contract's message id.
 */
import { type Bus, BusFull, BusUnavailable, DependencyUnavailable, type Handler } from '@postbus/bus'
import { MailAccepted, MailLocal, MailOut, type Status } from '@postbus/contracts'

import type { Route } from '../routing/route-message.ts'

/** Publications of one message under way at once. */
const WINDOW = 128

export interface MailAcceptedPorts {
  route(event: MailAccepted): Promise<Route>
  /** Resolves when the stream has them. */
  writeStatuses(statuses: readonly Status[]): Promise<void>
  publish: Bus['publish']
  routed(route: Route): void
}

export function onMailAccepted(ports: MailAcceptedPorts): Handler<typeof MailAccepted.schema> {
  return async (event, { log }) => {
    const route = await ports.route(event)
    try {
      await ports.writeStatuses(route.statuses)
      await inWindows(route.local, (task) => ports.publish(MailLocal, task))
      await inWindows(route.out, (task) => ports.publish(MailOut, task))
    } catch (cause) {
      // A full stream or a bus that does not confirm is no fault of this message: pause, and do all of it again.
      if (cause instanceof BusFull || cause instanceof BusUnavailable) {
        throw new DependencyUnavailable('the bus does not take what follows', { cause })
      }
      throw cause
    }
    ports.routed(route)
    log.info({ local: route.local.length, out: route.out.length, statuses: route.statuses.length }, 'routed')
    return { kind: 'done' }
  }
}

async function inWindows<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += WINDOW) {
    await Promise.all(items.slice(from, from + WINDOW).map(act))
  }
}
