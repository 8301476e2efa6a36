/**
 * What follows from an entry of the ledger: the status for the books, and the task that goes on. Made from the entry and any copy
 * of the task, so that whoever says it again says the same.
 */
import type { MailOut, Status } from '@postbus/contracts'

import type { LedgerEntry } from './ledger.ts'

export function statusOf({ site }: Pick<MailOut, 'site'>, { outcome, ...entry }: LedgerEntry): Status {
  return outcome.kind === 'held' ? { ...entry, ...outcome, site } : { ...entry, ...outcome }
}

/** How often a task was tried before this attempt. */
export const triesBefore = ({ attempt, tries }: Pick<MailOut, 'attempt' | 'tries'>): number => tries ?? attempt - 1

/** The attempt after a deferral or a release. */
export function nextTask(task: MailOut, { attempt, outcome }: LedgerEntry): MailOut {
  if (outcome.kind !== 'deferred' && outcome.kind !== 'released') throw new Error(`no attempt follows ${outcome.kind}`)
  const { via = task.via } = outcome
  const { tries: _, ...rest } = task
  const tried = task.attempt === attempt ? triesBefore(task) + 1 : attempt
  const tries = outcome.kind === 'released' ? triesBefore(task) : tried
  const numbers = { attempt: attempt + 1, ...(tries !== attempt && { tries }) }
  const next = { ...rest, ...numbers, spills: 0, ...(via !== undefined && { via }) }
  if (outcome.kind === 'released') return { ...next, released: true }
  const { at, reply } = outcome
  return { ...next, firstAttemptAt: task.firstAttemptAt ?? at, ...(reply !== undefined && { lastReply: reply }) }
}
