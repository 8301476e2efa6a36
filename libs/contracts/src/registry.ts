/** Every contract there is: what documentation, provisioning and permissions are made from. */
import type { Contract } from './define.ts'
import * as custody from './custody.ts'
import * as deadLetters from './dead-letters.ts'
import * as delivery from './delivery.ts'
import * as directoryAdmin from './directory-admin.ts'
import * as directory from './directory.ts'
import * as hints from './hints.ts'
import { MailAccepted } from './mail-accepted.ts'
import { MailDead } from './mail-dead.ts'
import { MailHold } from './mail-hold.ts'
import { MailLocal } from './mail-local.ts'
import { MailOut, MailOutCancelled, MailOutLater } from './mail-out.ts'
import { MailStatus } from './mail-status.ts'
import * as mailstoreAccount from './mailstore-account.ts'
import * as mailstoreMailboxes from './mailstore-mailboxes.ts'
import * as mailstoreMessages from './mailstore-messages.ts'
import * as mailstoreSearch from './mailstore-search.ts'
import * as services from './services.ts'
import * as transports from './transports.ts'

const kinds: readonly unknown[] = ['event', 'request', 'rows', 'survey', 'hint'] satisfies Contract['kind'][]

const isContract = (value: unknown): value is Contract =>
  typeof value === 'object' && value !== null && 'kind' in value && kinds.includes(value.kind)

const contractsOf = (module: object): Contract[] => Object.values(module).filter(isContract)

export const contracts: readonly Contract[] = [
  MailAccepted,
  MailLocal,
  MailOut,
  MailOutLater,
  MailOutCancelled,
  MailStatus,
  MailHold,
  MailDead,
  ...[directory, directoryAdmin].flatMap(contractsOf),
  ...[mailstoreMailboxes, mailstoreMessages, mailstoreSearch, mailstoreAccount].flatMap(contractsOf),
  ...[custody, deadLetters, delivery, transports, services, hints].flatMap(contractsOf),
]
