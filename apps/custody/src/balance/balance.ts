/**
 * Whether the books balance: every recipient we accepted, and every one that expansion added, is somewhere, and only once.
 *
 *   accepted                    = routed + not yet routed                                      (original recipients)
 *   accepted + added − merged   = delivered + relayed + failed + discarded + cancelled + pending
 *
 * The left side, and how many were merged, is counted where envelopes and `routed` were noted, the right side in the rows of the recipients, so that a
 * row that is lost, or there twice, shows.
 */
import type { BooksBalance, FinalRecipient, MessageEntry, Recipient, RecipientState } from '@postbus/contracts'

import { whyUnreported } from '../report/should-report.ts'

/** What is counted, in one moment, of everything in the history. */
export interface BooksCounts {
  /** When the oldest message was accepted (ms), to the hour. */
  since: number | null
  /** Original recipients, by their messages. */
  accepted: number
  /** Those of them of which we have a row with a complete `routed`. */
  routed: number
  /** Those of messages that are not routed completely. */
  notYetRouted: number
  /** Final recipients that `routed` named beyond one for each routed original. */
  added: number
  merged: number
  /** Rows of those that were merged. */
  copies: number
  /** Final recipients that stand for themselves. */
  states: Partial<Record<RecipientState, number>>
  /** None where they were not asked for. */
  failures: Failures[]
}

/** Failed recipients that are alike. */
export interface Failures {
  recipients: number
  report: 'done' | 'pending' | Unreported
}

/** What decides whether a failure is told of; null: not all of it is known. */
export type Unreported = {
  final: Pick<FinalRecipient, 'reversePath' | 'expanded'>
  original: Pick<Recipient, 'notify'>
  entry: Pick<MessageEntry, 'origin' | 'reversePath'>
} | null

export function balanceOf({ since, states, failures, ...counts }: BooksCounts): BooksBalance {
  const { accepted, routed, notYetRouted, added, merged, copies } = counts
  const of = (state: RecipientState): number => states[state] ?? 0
  const ends = { delivered: of('delivered'), relayed: of('relayed') }
  const others = { discarded: of('discarded'), cancelled: of('cancelled') }
  const failed = of('failed') + of('expired')
  const pending = { notYetRouted, queued: of('routed') + of('deferred'), held: of('held'), dead: of('dead') }
  const right = [ends, others, pending].flatMap(Object.values<number>).reduce((sum, count) => sum + count, failed)
  return {
    ...(since !== null && { since: new Date(since).toISOString() }),
    ...{ accepted, added, merged, ...ends, failed: { total: failed, ...failuresOf(failures) }, ...others, pending },
    differences: {
      originals: accepted - routed - notYetRouted,
      recipients: accepted + added - merged - right,
      merged: merged - copies,
    },
  }
}

/** Neither side has too many or too few. */
export const isBalanced = ({ differences }: Pick<BooksBalance, 'differences'>): boolean =>
  Object.values(differences).every((difference) => difference === 0)

function failuresOf(failures: readonly Failures[]): Omit<BooksBalance['failed'], 'total'> {
  const told = { reported: 0, reportPending: 0 }
  const reasons = new Map<string, number>()
  for (const { recipients, report } of failures) {
    if (report === 'done') told.reported += recipients
    else if (report === 'pending') told.reportPending += recipients
    else reasons.set(reasonOf(report), (reasons.get(reasonOf(report)) ?? 0) + recipients)
  }
  const unreported = [...reasons].map(([reason, recipients]) => ({ reason, recipients }))
  return { ...told, unreported: unreported.toSorted((one, other) => other.recipients - one.recipients) }
}

function reasonOf(facts: Unreported): string {
  const reason = facts && whyUnreported('failure', facts.final, facts.original, facts.entry)
  return reason ?? 'the books do not say why'
}
