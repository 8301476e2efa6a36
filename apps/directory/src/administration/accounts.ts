/** Adding, changing and removing accounts. */
import { randomInt } from 'node:crypto'

import type { Account, addAccount, changeAccount } from '@postbus/contracts'
import type { z } from 'zod'

import { formatName } from '../addresses/names.ts'
import { Refusal } from '../refusal.ts'
import type { AccountRecord, Credential, DirectoryReader, DirectoryWriter } from '../store.ts'
import { nameField } from './fields.ts'
import { freeName } from './free-name.ts'

type Ports = Pick<
  DirectoryWriter,
  'domains' | 'names' | 'accountNamed' | 'insertAccount' | 'updateAccount' | 'deleteAccount' | 'putCredential'
>

/** @param credential made from the input's password, before the change begins: it takes long */
export async function insertAccount(
  input: z.output<typeof addAccount.input>,
  credential: Credential | null,
  ports: Ports,
  now: Date,
): Promise<Account> {
  const { domain, localPart } = await freeName(nameField('address', input.address), ports)
  const record: AccountRecord = {
    account: newAccountId(),
    domain,
    localPart,
    name: input.name ?? '',
    enabled: input.enabled ?? true,
    quotaBytes: input.quotaBytes ?? null,
    recipientsPerHour: input.recipientsPerHour ?? null,
    messagesPerHour: input.messagesPerHour ?? null,
    credentialVersion: 1,
    createdAt: now.toISOString(),
  }
  await ports.insertAccount(record)
  if (credential !== null) await ports.putCredential(record.account, credential)
  return accountView(record)
}

export async function updateAccount(
  input: z.output<typeof changeAccount.input>,
  credential: Credential | null,
  ports: Ports,
): Promise<Account> {
  const account = await accountAt(input.address, ports)
  const { name, enabled, quotaBytes, recipientsPerHour, messagesPerHour } = input
  const disabled = account.enabled && enabled === false
  const record: AccountRecord = {
    ...account,
    name: name ?? account.name,
    enabled: enabled ?? account.enabled,
    quotaBytes: quotaBytes === undefined ? account.quotaBytes : quotaBytes,
    recipientsPerHour: recipientsPerHour === undefined ? account.recipientsPerHour : recipientsPerHour,
    messagesPerHour: messagesPerHour === undefined ? account.messagesPerHour : messagesPerHour,
    credentialVersion: account.credentialVersion + (credential !== null || disabled ? 1 : 0),
  }
  await ports.updateAccount(record)
  if (credential !== null) await ports.putCredential(record.account, credential)
  return accountView(record)
}

/** Aliases that name it keep doing so: their mail to it is refused like that to anybody unknown. */
export async function deleteAccount(address: string, ports: Ports): Promise<Account> {
  const account = await accountAt(address, ports)
  await ports.deleteAccount(account.account)
  return accountView(account)
}

/** @throws Refusal noSuchAccount */
export async function accountAt(address: string, ports: Pick<DirectoryReader, 'accountNamed'>): Promise<AccountRecord> {
  const name = nameField('address', address)
  const account = await ports.accountNamed(name)
  if (account === undefined) throw new Refusal('noSuchAccount', `address: ${formatName(name)} is no account`)
  return account
}

/** Never used again: mailboxes outlive their account. */
function newAccountId(): string {
  return Array.from({ length: ID_LENGTH }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join('')
}
const ID_ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const ID_LENGTH = 16

export function accountView(record: AccountRecord): Account {
  const { domain, localPart, credentialVersion: _, ...account } = record
  return { ...account, address: formatName({ domain, localPart }) }
}
