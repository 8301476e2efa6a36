/**
 * What follows from an entry of the ledger: the status for the books, and the task that goes on. Made from the entry and any copy
 * of the task, so that whoever says it again says the same.
 */
import type { MailOut, Status } from '@postbus/contracts'

import type { LedgerEntry } from './ledger.ts'

export function statusOf({ site }: Pick<MailOut, 'site'>, { outcome, ...entry }: LedgerEntry): Status {
  return outcome.kind === 'held' ? { ...entry, ...outcome, site } : { ...entry, ...outcome }
}

/** The attempt after a deferral or a release. */
export function nextTask(task: MailOut, { attempt, outcome }: LedgerEntry): MailOut {
  if (outcome.kind !== 'deferred' && outcome.kind !== 'released') throw new Error(`no attempt follows ${outcome.kind}`)
  const { via = task.via } = outcome
  const next = { ...task, attempt: attempt + 1, ...(via !== undefined && { via }) }
  if (outcome.kind === 'released') return { ...next, released: true, spills: 0 }
  const { at, reply } = outcome
  return { ...next, firstAttemptAt: task.firstAttemptAt ?? at, ...(reply !== undefined && { lastReply: reply }) }
}
