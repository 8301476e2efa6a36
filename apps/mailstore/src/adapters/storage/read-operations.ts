import type { Blobs } from '@postbus/blobs'

import type { MailDatabase, ReadOperations } from './operation.ts'
import { accountToCheck, countersToCheck, messagesToCheck } from './reads/check.ts'
import { known, namedBlobs } from './reads/deliveries.ts'
import { expunged } from './reads/expunged.ts'
import { fetch } from './reads/fetch.ts'
import { headerPages } from './reads/header-pages.ts'
import { account, deletedSizes, list, open, status } from './reads/lists.ts'
import { metadata } from './reads/metadata.ts'
import { search } from './reads/search.ts'
import { sort, thread } from './reads/sort.ts'
import { sync } from './reads/sync.ts'
import type { TextIndex } from './text-index/text-index.ts'

/** @param keptHeaderBytes what may be kept of header fields that were asked for */
export function readOperations(
  db: MailDatabase,
  blobs: Blobs,
  index: TextIndex,
  keptHeaderBytes: number,
): ReadOperations {
  return {
    known: known(db),
    account,
    list,
    status,
    open,
    sync,
    fetch: fetch(db, blobs, headerPages(keptHeaderBytes)),
    search: search(db, blobs, index),
    sort,
    thread,
    deletedSizes,
    metadata,
    expunged,
    messagesToCheck,
    countersToCheck,
    accountToCheck,
    namedBlobs,
  }
}
