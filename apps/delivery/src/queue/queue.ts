/**
 * Where the copies of a task can be on the bus, and what can be done with each. One copy is the task; others are older, and the
 * ledger answers them when they come up.
 */
import type { MailOut, TaskPlace } from '@postbus/contracts'

import type { LedgerEntry } from '../attempt/ledger.ts'

export interface Copy {
  task: MailOut
  /** Names this very message of its stream. */
  sequence: number
}

export interface Copies {
  work: Copy | null
  schedule: Copy | null
  hold: Copy | null
}

export type Where = keyof Copies

export interface Queue {
  look(where: Where, place: TaskPlace): Promise<Copy | null>
  /** Makes it work; in the same step the schedule goes. Resolves to false, and does nothing, when it has fired. */
  work(task: MailOut, instead?: Copy): Promise<boolean>
  /** One copy is held at most: a second one changes nothing. */
  hold(task: MailOut, held: { at: string; rule: string }): Promise<void>
  /** With a sequence only that one; a schedule that has fired is no error. */
  cancelSchedule(place: TaskPlace, by: Pick<LedgerEntry, 'attempt' | 'incarnation'>, sequence?: number): Promise<void>
  removeHeld(copy: Copy): Promise<void>
}

export const nowhere: Copies = { work: null, schedule: null, hold: null }

/**
 * Looks where the task should be first, and no further than where it is. Work is looked for once more: a schedule may have fired
 * in between. Everything else moves only in a turn of the task, which is ours.
 */
export async function locate(queue: Pick<Queue, 'look'>, place: TaskPlace, entry: LedgerEntry | null): Promise<Copies> {
  const copies: Copies = { ...nowhere }
  for (const where of orderFor(entry)) {
    copies[where] ??= await queue.look(where, place)
    const found = copies[where]
    if (found !== null && isTheTask(found, where, entry)) break
  }
  return copies
}

/** Everything there is of it, wherever it should be. */
export async function locateAll({ look }: Pick<Queue, 'look'>, place: TaskPlace): Promise<Copies> {
  const schedule = await look('schedule', place)
  return { schedule, work: await look('work', place), hold: await look('hold', place) }
}

export function newest(copies: Copies): (Copy & { where: Where }) | null {
  const { work, schedule, hold } = copies
  const all = [
    work && { ...work, where: 'work' as const },
    schedule && { ...schedule, where: 'schedule' as const },
    hold && { ...hold, where: 'hold' as const },
  ].filter((copy) => copy !== null)
  return all.reduce<(Copy & { where: Where }) | null>(
    (best, copy) => (best === null || copy.task.attempt > best.task.attempt ? copy : best),
    null,
  )
}

function orderFor(entry: LedgerEntry | null): readonly Where[] {
  switch (entry?.outcome.kind) {
    case 'deferred':
      return ['schedule', 'work', 'hold']
    case 'held':
      return ['hold', 'schedule', 'work']
    default:
      return ['work', 'schedule', 'work', 'hold']
  }
}

/** An entry answers every copy up to its own attempt; of what is held it says which attempt that is. */
function isTheTask({ task }: Copy, where: Where, entry: LedgerEntry | null): boolean {
  if (entry === null) return true
  return where === 'hold' && entry.outcome.kind === 'held'
    ? task.attempt === entry.attempt
    : task.attempt > entry.attempt
}
