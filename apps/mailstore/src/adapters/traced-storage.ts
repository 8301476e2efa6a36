/** The same storage, whose reads and writes are steps of the trace they belong to, and whose failures are told. */
import { onDatabase, traced } from '@postbus/tracing'

import { type MailStorage, StorageUnavailable } from '../mailbox/storage.ts'

export interface Told {
  worked(): void
  failed(error: unknown): void
}

/** @param location of the database; @param told what became of writes */
export const tracedStorage = (storage: MailStorage, location: string, told: Told): MailStorage => ({
  read: (kind, input) => traced(`db ${kind}`, onDatabase(location, kind), () => storage.read(kind, input)),
  async write(kind, input) {
    try {
      const outcome = await traced(`db ${kind}`, onDatabase(location, kind), () => storage.write(kind, input))
      told.worked()
      return outcome
    } catch (error) {
      if (error instanceof StorageUnavailable) told.failed(error)
      throw error
    }
  },
  index: () => storage.index(),
  close: () => storage.close(),
})
