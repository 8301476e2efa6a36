import type { Blobs } from '@postbus/blobs'

import type { MailDatabase, ReadOperations } from './operation.ts'
import { accountToCheck, countersToCheck, messagesToCheck } from './reads/check.ts'
import { known, namedBlobs } from './reads/deliveries.ts'
import { expunged } from './reads/expunged.ts'
import { fetch } from './reads/fetch.ts'
import { account, list, open, status } from './reads/lists.ts'
import { search } from './reads/search.ts'
import { sync } from './reads/sync.ts'

export function readOperations(db: MailDatabase, blobs: Blobs): ReadOperations {
  return {
    known: known(db),
    account,
    list,
    status,
    open,
    sync,
    fetch: fetch(db, blobs),
    search: search(db, blobs),
    expunged,
    messagesToCheck,
    countersToCheck,
    accountToCheck,
    namedBlobs,
  }
}
