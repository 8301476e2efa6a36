/**
 * mail.status → the books. Messages that arrive together share one commit; each is acknowledged after it. The same status
 * twice changes nothing.
 */
import { BatchFull, type Gatherer, gather } from '@postbus/batch'
import { DependencyUnavailable, type Handler } from '@postbus/bus'
import type { MailStatus, QueueId, Status } from '@postbus/contracts'
import { StorageBusy, StorageCorrupt, StorageFailed, StorageFull } from '@postbus/sql'
import { batched } from '@postbus/tracing'

import { Superseded } from '../tracking/books.ts'

/** Statuses in one commit. */
const MAX_STATUSES_PER_COMMIT = 4096
const MAX_WAITING = 10_000

export interface MailStatusPorts {
  record(statuses: readonly Status[]): Promise<QueueId[]>
  /** Pages that changed, after their commit. */
  changed(queueIds: readonly QueueId[]): void
  recorded(statuses: readonly Status[]): void
}

export function onMailStatus(ports: MailStatusPorts): Handler<typeof MailStatus.schema> {
  const commits: Gatherer<MailStatus, undefined> = gather(
    async (messages) => {
      const statuses = messages.flatMap((message) => message.statuses)
      ports.changed(await ports.record(statuses))
      ports.recorded(statuses)
      return messages.map(() => undefined)
    },
    {
      maxItems: MAX_STATUSES_PER_COMMIT,
      maxSize: MAX_STATUSES_PER_COMMIT,
      sizeOf: ({ statuses }) => statuses.length,
      maxWaiting: MAX_WAITING,
      origin: batched('db commit books'),
    },
  )
  return async (event) => {
    try {
      await commits.add(event)
    } catch (cause) {
      if (isTrouble(cause)) throw new DependencyUnavailable('the books cannot be written', { cause })
      throw cause
    }
    return { kind: 'done' }
  }
}

/** Not the fault of any status: a full, busy or damaged disk, or a leader that is none any more. */
const isTrouble = (error: unknown): boolean =>
  [BatchFull, StorageBusy, StorageCorrupt, StorageFailed, StorageFull, Superseded].some((kind) => error instanceof kind)
