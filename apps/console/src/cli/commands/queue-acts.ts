/**
 * Carries an act out for many recipients: in blocks, each asked of the one replica that owns their lane, several at once. What
 * is being attempted right now is asked for again, and so is a lane that nobody owns at this moment.
 */
import { type Bus, BusUnavailable } from '@postbus/bus'
import {
  type Act,
  type ActResult,
  actOnTasks,
  laneOf,
  MAX_TASKS_PER_ACT,
  type QueuedRecipient,
} from '@postbus/contracts'

const BLOCKS_AT_ONCE = 4
/** How long what is being attempted, and lanes without an owner, are asked for again: longer than a lease of a dead owner. */
const AGAIN_FOR_MS = 20_000
const BETWEEN_MS = 500

export type Outcome = ActResult | 'unanswered'

export interface ActingOptions {
  bus: Bus
  act: Act
  by: string
  /** Told after each block, with how many have an outcome. */
  progress(done: number): void
}

/** What an act needs of a queued recipient, and what names it to a person. */
export type Task = Pick<QueuedRecipient, 'queueId' | 'n' | 'site' | 'shard' | 'attempt' | 'forwardPath'>

/** @returns an outcome per task */
export async function actOnAll(tasks: readonly Task[], options: ActingOptions): Promise<Map<Task, Outcome>> {
  const outcomes = new Map<Task, Outcome>()
  const until = performance.now() + AGAIN_FOR_MS
  for (let open = tasks; open.length > 0;) {
    const blocks = blocksOf(open)
    const workers = Array.from({ length: BLOCKS_AT_ONCE }, async () => {
      for (let block = blocks.shift(); block; block = blocks.shift()) {
        const results = await ask(block, options)
        for (const [index, task] of block.tasks.entries()) outcomes.set(task, results?.[index] ?? 'unanswered')
        options.progress(outcomes.size)
      }
    })
    await Promise.all(workers)
    open = tasks.filter((task) => isOpen(outcomes.get(task)))
    if (performance.now() >= until) break
    if (open.length > 0) await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS))
  }
  return outcomes
}

const isOpen = (outcome: Outcome | undefined): boolean => outcome === 'attempting' || outcome === 'unanswered'

interface Block {
  lane: string
  tasks: Task[]
}

function blocksOf(tasks: readonly Task[]): Block[] {
  return [...Map.groupBy(tasks, ({ site }) => laneOf(site))].flatMap(([lane, all]) =>
    Array.from({ length: Math.ceil(all.length / MAX_TASKS_PER_ACT) }, (_, block) => ({
      lane,
      tasks: all.slice(block * MAX_TASKS_PER_ACT, (block + 1) * MAX_TASKS_PER_ACT),
    })),
  )
}

/** Null: nobody answered; it may have been done. Asking again does no harm. */
async function ask({ lane, tasks }: Block, { bus, act, by }: ActingOptions): Promise<ActResult[] | null> {
  try {
    return (await bus.request(actOnTasks, { act, by, tasks }, { tokens: { lane } })).results
  } catch (error) {
    if (error instanceof BusUnavailable) return null
    throw error
  }
}
