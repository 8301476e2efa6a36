/** What every request of a front end goes through: the token says whose mailboxes, the storage's outcome becomes the answer. */
import { RequestRefused } from '@postbus/bus'
import type { AccountId } from '@postbus/contracts'

import type { Accounts } from '../adapters/accounts.ts'
import type { NoteChanges } from '../adapters/changes.ts'
import type { Tokens } from '../adapters/tokens.ts'
import { normalizeName } from '../mailbox/names.ts'
import type { MailStorage, Writes } from '../mailbox/storage.ts'

export interface SessionPorts {
  storage: MailStorage
  tokens: Tokens
  accounts: Accounts
  noteChanges: NoteChanges
}

export interface Sessions {
  readonly storage: MailStorage
  /** The account of the token, its mailboxes in place. @throws RequestRefused tokenInvalid */
  accountOf(token: string): Promise<AccountId>
  /** @throws RequestRefused with the storage's code */
  write<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']): Promise<Writes[Kind]['output']>
  /** @throws RequestRefused tokenInvalid when the account is gone */
  quotaOf(account: AccountId): Promise<number | null>
}

/** Accounts known to have their mailboxes. */
const MAX_PREPARED = 100_000

export function sessions({ storage, tokens, accounts, noteChanges }: SessionPorts): Sessions {
  const prepared = new Set<AccountId>()

  async function write<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']) {
    const outcome = await storage.write(kind, input)
    if (outcome.kind === 'refused') throw new RequestRefused(outcome.code, outcome.reason)
    noteChanges(outcome.changes)
    return outcome.value
  }

  return {
    storage,
    write,
    async accountOf(token) {
      const account = await tokens.accountOf(token)
      if (prepared.has(account)) return account
      if ((await storage.read('account', { account })) === null) await write('prepareAccount', { account })
      if (prepared.size >= MAX_PREPARED) prepared.clear()
      prepared.add(account)
      return account
    },
    async quotaOf(account) {
      const known = await accounts.describe(account)
      if (known === null) throw new RequestRefused('tokenInvalid', 'The account was removed')
      return known.quotaBytes
    },
  }
}

/** The normalized name. @throws RequestRefused with the code that fits the request */
export function named(name: string, code: 'noSuchMailbox' | 'noSuchTarget' | 'invalid'): string {
  const normalized = normalizeName(name)
  if (normalized === null) throw new RequestRefused(code, 'Not a name a mailbox can have')
  return normalized
}

export const noSuchMailbox = () => new RequestRefused('noSuchMailbox', 'No such mailbox')
