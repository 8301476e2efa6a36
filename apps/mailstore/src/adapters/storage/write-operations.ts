import type { MailDatabase, StorageLimits, WriteOperations } from './operation.ts'
import { prepareAccount, renewUidValidities } from './writes/accounts.ts'
import { append } from './writes/append.ts'
import { copy } from './writes/copy.ts'
import { deliver } from './writes/deliver.ts'
import { expunge } from './writes/expunge.ts'
import { claimRecent, create, remove, subscribe } from './writes/mailboxes.ts'
import { setMetadata } from './writes/metadata.ts'
import { forgetTexts, purge } from './writes/purge.ts'
import { rename } from './writes/rename.ts'
import { repair } from './writes/repair.ts'
import { restore } from './writes/restore.ts'
import { store } from './writes/store.ts'

export function writeOperations(db: MailDatabase, limits: StorageLimits): WriteOperations {
  return {
    prepareAccount: prepareAccount(db, limits),
    deliver: deliver(db, limits),
    append: append(db, limits),
    claimRecent,
    create: create(limits),
    remove,
    rename: rename(limits),
    subscribe: subscribe(limits),
    setMetadata: setMetadata(limits),
    store: store(limits),
    copy: copy(limits),
    expunge: expunge(limits),
    restore: restore(db, limits),
    renewUidValidities,
    forgetTexts,
    repair,
    purge,
  }
}
