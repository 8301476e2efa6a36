/** The whole suite: an adapter is one when it passes. */
import { deliveriesContract } from './deliveries.contract.ts'
import { flagsContract } from './flags.contract.ts'
import { mailboxesContract } from './mailboxes.contract.ts'
import { messagesContract } from './messages.contract.ts'
import { metadataContract } from './metadata.contract.ts'
import { purgeContract } from './purge.contract.ts'
import { replicasContract } from './replicas.contract.ts'
import { searchContract } from './search.contract.ts'
import { sortContract } from './sort.contract.ts'
import { undeleteContract } from './undelete.contract.ts'
import type { OpenStorage } from './suite.contract.ts'
import { textIndexContract } from './text-index.contract.ts'

export function storageContract(adapter: string, open: OpenStorage): void {
  deliveriesContract(adapter, open)
  flagsContract(adapter, open)
  mailboxesContract(adapter, open)
  messagesContract(adapter, open)
  metadataContract(adapter, open)
  purgeContract(adapter, open)
  replicasContract(adapter, open)
  searchContract(adapter, open)
  sortContract(adapter, open)
  textIndexContract(adapter, open)
  undeleteContract(adapter, open)
}
