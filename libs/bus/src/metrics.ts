/** What the bus counts about itself. `prometheusMetrics` puts it into a service's registry. */
import { Counter, Histogram, type Registry } from 'prom-client'

export interface BusMetrics {
  /** outcome: confirmed, full, gone, unavailable, refused */
  published(event: string, outcome: string, seconds: number): void
  /** outcome: done, rejected, mismatch, givenBack, crash */
  handled(event: string, outcome: string, seconds: number): void
  redelivered(event: string): void
  /** reason: contract, rejected, crash */
  buried(event: string, reason: string): void
  paused(event: string): void
  /** outcome: answered, refused, unavailable */
  requested(request: string, outcome: string, seconds: number): void
  /** outcome: answered, refused, failed, expired */
  answered(request: string, outcome: string, seconds: number): void
}

const nothing = (): void => undefined
export const noMetrics: BusMetrics = {
  published: nothing,
  handled: nothing,
  redelivered: nothing,
  buried: nothing,
  paused: nothing,
  requested: nothing,
  answered: nothing,
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export function prometheusMetrics(registry: Registry): BusMetrics {
  const registers = [registry]
  const seconds = (name: string, help: string, of: string) =>
    new Histogram({ name, help, labelNames: [of, 'outcome'], buckets: SECONDS, registers })
  const publish = seconds(
    'mail_bus_publish_seconds',
    'From publish to the confirmation of the stream, tries included',
    'event',
  )
  const handle = seconds('mail_bus_handle_seconds', 'From the arrival of an event to its acknowledgement', 'event')
  const request = seconds('mail_bus_request_seconds', 'From a request to its answer', 'request')
  const answer = seconds('mail_bus_answer_seconds', 'Work on an answer', 'request')
  const redeliveries = new Counter({
    name: 'mail_bus_redeliveries_total',
    help: 'Events that came again',
    labelNames: ['event'],
    registers,
  })
  const dead = new Counter({
    name: 'mail_bus_dead_total',
    help: 'Events copied to MAIL_DEAD',
    labelNames: ['event', 'reason'],
    registers,
  })
  const pauses = new Counter({
    name: 'mail_bus_pauses_total',
    help: 'Times a consumer paused because something it needs was down',
    labelNames: ['event'],
    registers,
  })
  return {
    published: (event, outcome, took) => publish.observe({ event, outcome }, took),
    handled: (event, outcome, took) => handle.observe({ event, outcome }, took),
    redelivered: (event) => redeliveries.inc({ event }),
    buried: (event, reason) => dead.inc({ event, reason }),
    paused: (event) => pauses.inc({ event }),
    requested: (name, outcome, took) => request.observe({ request: name, outcome }, took),
    answered: (name, outcome, took) => answer.observe({ request: name, outcome }, took),
  }
}
