/** What the bus counts about itself. `prometheusMetrics` puts it into a service's registry. */
import { counter, gauge, histogram, type MetricsRegistry, openMetrics, SECONDS, seen } from '@postbus/metrics'

/** How far behind one consumer is, as the server says. */
export interface Backlog {
  event: string
  consumer: string
  /** Not delivered to anybody yet. */
  pending: number
  /** Delivered, and not acknowledged. */
  inHand: number
}

export interface BusMetrics {
  /** From now on its counters are there, at 0: the first trouble is a rise. */
  consuming(event: string): void
  published(event: string, outcome: PublishOutcome, seconds: number): void
  /** From its place in the stream to its first arrival here. */
  arrived(event: string, seconds: number): void
  handled(event: string, outcome: HandleOutcome, seconds: number): void
  redelivered(event: string): void
  buried(event: string, reason: BurialReason): void
  paused(event: string): void
  requested(request: string, outcome: RequestOutcome, seconds: number): void
  answered(request: string, outcome: AnswerOutcome, seconds: number): void
  reconnected(): void
  /** Asked whenever somebody reads the metrics. */
  watch(now: { connected(): boolean; backlogs(): Promise<Backlog[]> }): void
}

const publishOutcomes = ['confirmed', 'full', 'gone', 'unavailable', 'refused'] as const
export type PublishOutcome = (typeof publishOutcomes)[number]
const handleOutcomes = ['done', 'rejected', 'mismatch', 'givenBack', 'crash'] as const
export type HandleOutcome = (typeof handleOutcomes)[number]
const burialReasons = ['contract', 'rejected', 'crash'] as const
export type BurialReason = (typeof burialReasons)[number]
const requestOutcomes = ['answered', 'refused', 'unavailable'] as const
export type RequestOutcome = (typeof requestOutcomes)[number]
const answerOutcomes = ['answered', 'refused', 'failed', 'expired'] as const
export type AnswerOutcome = (typeof answerOutcomes)[number]

const event = seen('events of [subjects](subjects.md)')
const request = seen('requests of [subjects](subjects.md)')
const oneOf = <Value extends string>(values: readonly Value[]) => seen<Value>(values.join(', '))

/** Of every service. */
export const busTable = {
  publish: histogram(
    'mail_bus_publish_seconds',
    'From publish to the confirmation of the stream, tries included.',
    SECONDS,
    { event, outcome: oneOf(publishOutcomes) },
  ),
  wait: histogram(
    'mail_bus_wait_seconds',
    'From the moment the stream had an event to its first arrival at a consumer, by the clocks of both machines.',
    [...SECONDS, 300, 1800, 7200],
    { event },
  ),
  handle: histogram('mail_bus_handle_seconds', 'From the arrival of an event to its acknowledgement.', SECONDS, {
    event,
    outcome: oneOf(handleOutcomes),
  }),
  request: histogram('mail_bus_request_seconds', 'From a request to its answer.', SECONDS, {
    request,
    outcome: oneOf(requestOutcomes),
  }),
  answer: histogram('mail_bus_answer_seconds', 'Work on an answer.', SECONDS, {
    request,
    outcome: oneOf(answerOutcomes),
  }),
  redeliveries: counter('mail_bus_redeliveries_total', 'Events that came again.', { event }),
  dead: counter('mail_bus_dead_total', 'Events copied to MAIL_DEAD.', { event, reason: oneOf(burialReasons) }),
  pauses: counter('mail_bus_pauses_total', 'Times a consumer paused because something it needs was down.', { event }),
  reconnects: counter('mail_bus_reconnects_total', 'Times the connection to the bus was made again.'),
  connected: gauge('mail_bus_connected', '1 while there is a connection to the bus.'),
  pending: gauge(
    'mail_bus_pending_events',
    'Events of a consumer that nobody has yet; every replica says the same of a consumer they share.',
    { event, consumer: seen('router, mailstore, custody; of delivery a lane: lane-00 … lane-31') },
  ),
  inHand: gauge('mail_bus_unacknowledged_events', 'Events of a consumer that somebody has and has not done yet.', {
    event,
    consumer: seen('as above'),
  }),
}

const nothing = (): void => undefined
export const noMetrics: BusMetrics = {
  consuming: nothing,
  published: nothing,
  arrived: nothing,
  handled: nothing,
  redelivered: nothing,
  buried: nothing,
  paused: nothing,
  requested: nothing,
  answered: nothing,
  reconnected: nothing,
  watch: nothing,
}

export function prometheusMetrics(registry: MetricsRegistry): BusMetrics {
  const metrics = openMetrics(busTable, registry)
  return {
    consuming(event) {
      metrics.redeliveries.inc({ event }, 0)
      metrics.pauses.inc({ event }, 0)
      for (const reason of burialReasons) metrics.dead.inc({ event, reason }, 0)
    },
    published: (event, outcome, took) => metrics.publish.observe({ event, outcome }, took),
    arrived: (event, took) => metrics.wait.observe({ event }, took),
    handled: (event, outcome, took) => metrics.handle.observe({ event, outcome }, took),
    redelivered: (event) => metrics.redeliveries.inc({ event }),
    buried: (event, reason) => metrics.dead.inc({ event, reason }),
    paused: (event) => metrics.pauses.inc({ event }),
    requested: (name, outcome, took) => metrics.request.observe({ request: name, outcome }, took),
    answered: (name, outcome, took) => metrics.answer.observe({ request: name, outcome }, took),
    reconnected: () => metrics.reconnects.inc(),
    watch({ connected, backlogs }) {
      metrics.connected.whenRead(() => metrics.connected.set(connected() ? 1 : 0))
      let asking: Promise<Backlog[]> | undefined
      // Both gauges are read at the same time: one question serves them.
      const ask = () => (asking ??= backlogs().finally(() => (asking = undefined)))
      for (const [gauge, of] of [
        [metrics.pending, 'pending'],
        [metrics.inHand, 'inHand'],
      ] as const) {
        gauge.whenRead(async () => {
          const all = await ask()
          gauge.reset()
          for (const { event, consumer, ...counts } of all) gauge.set({ event, consumer }, counts[of])
        })
      }
    },
  }
}
