/**
 * MAIL_OUT and MAIL_HOLD in memory, with a ledger and the books beside them, for what must hold whenever a process dies: each
 * step counts, and from the one named on nothing happens any more until a new process is begun.
 */
import { type Bus, ScheduleGone } from '@postbus/bus'
import {
  type EventContract,
  MailHold,
  MailOut,
  MailOutCancelled,
  MailOutLater,
  type MailHold as Held,
  type Status,
  taskKey,
} from '@postbus/contracts'
import type { z } from 'zod'

import type { Ledger, LedgerEntry } from '../src/attempt/ledger.ts'
import { isEnd } from '../src/attempt/outcome.ts'

export class Died extends Error {
  override readonly name = 'Died'
}

interface Stored {
  contract: EventContract
  subject: string
  sequence: number
  event: unknown
}

export type RecipientStatus = Exclude<Status, { kind: 'routed' }>

export interface MemoryBus {
  bus: Pick<Bus, 'lookUp' | 'publish' | 'remove'>
  ledger: Pick<Ledger, 'find' | 'commit'>
  writeStatuses(statuses: readonly Status[]): Promise<void>
  statuses: RecipientStatus[]
  entries: Map<string, LedgerEntry>
  /** Dies at its step number `step` from now, 0 the next; never with null. */
  dieAt(step: number | null): void
  /** Every schedule's time has come. */
  fire(): void
  /** The oldest task that is work, taken off the stream. */
  nextWork(): MailOut | null
  work(): MailOut[]
  schedules(): MailOut[]
  holds(): Held[]
}

export function memoryBus(): MemoryBus {
  let stored: Stored[] = []
  const ids = new Set<string>()
  const entries = new Map<string, LedgerEntry>()
  const statuses: RecipientStatus[] = []
  let sequence = 0
  let left: number | null = null

  async function step(): Promise<void> {
    await Promise.resolve()
    if (left === null) return
    if (left === 0) throw new Died('killed')
    left--
  }

  const lastOn = (subject: string) => stored.findLast((message) => message.subject === subject)
  const eventsOf = <S extends z.ZodType>({ name, schema }: EventContract<S>): z.output<S>[] =>
    stored.filter(({ contract }) => contract.name === name).map(({ event }) => schema.parse(event))

  const bus: MemoryBus['bus'] = {
    async publish(contract, input, { cancels } = {}) {
      await step()
      const event = contract.schema.parse(input)
      const subject = contract.subject(event)
      if (cancels?.sequence !== undefined && lastOn(cancels.subject)?.sequence !== cancels.sequence) {
        throw new ScheduleGone('wrong last sequence')
      }
      const id = contract.messageId(event)
      if (ids.has(id)) return
      if (contract.name === MailHold.name && lastOn(subject)) return
      ids.add(id)
      const replaced = contract.name === MailOutLater.name ? subject : cancels?.subject
      stored = stored.filter((message) => message.subject !== replaced)
      if (contract.name !== MailOutCancelled.name) stored.push({ contract, subject, sequence: ++sequence, event })
    },
    async lookUp(contract, subject) {
      await step()
      const found = lastOn(subject)
      return found ? { event: contract.schema.parse(found.event), sequence: found.sequence } : null
    },
    async remove(_contract, gone) {
      await step()
      const before = stored.length
      stored = stored.filter((message) => message.sequence !== gone)
      return stored.length < before
    },
  }

  return {
    ...{ bus, statuses, entries },
    ledger: {
      async find({ queueId, n }) {
        await step()
        return entries.get(taskKey(queueId, n)) ?? null
      },
      async commit(entry) {
        await step()
        const key = taskKey(entry.queueId, entry.n)
        const known = entries.get(key)
        if (!known || !isEnd(known.outcome) || entry.outcome.kind === 'relayed') entries.set(key, entry)
      },
    },
    async writeStatuses(all) {
      await step()
      for (const status of all) if (status.kind !== 'routed') statuses.push(status)
    },
    dieAt: (at) => {
      left = at
    },
    fire() {
      stored = stored.map((message) => {
        if (message.contract.name !== MailOutLater.name) return message
        const event = MailOut.schema.parse(message.event)
        return { contract: MailOut, subject: MailOut.subject(event), sequence: ++sequence, event }
      })
    },
    nextWork() {
      const next = stored.find(({ contract }) => contract.name === MailOut.name)
      if (!next) return null
      stored = stored.filter((message) => message !== next)
      return MailOut.schema.parse(next.event)
    },
    work: () => eventsOf(MailOut),
    schedules: () => eventsOf(MailOutLater),
    holds: () => eventsOf(MailHold),
  }
}

/** What the books say: as custody ranks it. */
export function standing(statuses: readonly RecipientStatus[]): RecipientStatus['kind'] | undefined {
  const rank = ['deferred', 'held', 'released', 'cancelled', 'failed', 'relayed']
  const weight = ({ kind, attempt }: RecipientStatus): number =>
    (rank.indexOf(kind) >= 3 ? 1e6 : 0) + attempt * 100 + rank.indexOf(kind)
  return statuses.toSorted((one, other) => weight(one) - weight(other)).at(-1)?.kind
}
