/** The same storage, whose reads and writes are steps of the trace they belong to. */
import { onDatabase, traced } from '@postbus/tracing'

import type { MailStorage } from '../mailbox/storage.ts'

/** @param location of the database */
export const tracedStorage = (storage: MailStorage, location: string): MailStorage => ({
  read: (kind, input) => traced(`db ${kind}`, onDatabase(location, kind), () => storage.read(kind, input)),
  write: (kind, input) => traced(`db ${kind}`, onDatabase(location, kind), () => storage.write(kind, input)),
  index: () => storage.index(),
  close: () => storage.close(),
})
