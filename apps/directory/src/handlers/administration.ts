/** The operator's requests. Every change is one transaction, a line in the log, and a hint to those who keep answers. */
import type { Bus, Stoppable } from '@postbus/bus'
import * as contracts from '@postbus/contracts'
import type { Logger } from 'pino'
import type { z } from 'zod'

import { type CredentialSettings, makeCredential, takeOver } from '../accounts/credentials.ts'
import type { Hasher } from '../accounts/hasher.ts'
import { deleteAccount, accountView, insertAccount, updateAccount } from '../administration/accounts.ts'
import { aliasView, deleteAlias, insertAlias, updateAlias } from '../administration/aliases.ts'
import { activateKey, deleteKey, dkimKeyView, insertKeys, newKeyPairs, retireKey } from '../administration/dkim-keys.ts'
import { deleteDomain, domainView, insertDomain, updateDomain } from '../administration/domains.ts'
import { domainField, nameField } from '../administration/fields.ts'
import { deleteTransport, insertTransport, transportView, updateTransport } from '../administration/transports.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { invalid } from '../refusal.ts'
import type { DirectoryStore, DirectoryWriter, DkimKeyName, Name } from '../store.ts'
import type { Answer } from './answer.ts'

interface Tools {
  store: DirectoryStore
  hasher: Hasher
  credentials: CredentialSettings
  metrics: DirectoryMetrics
  hint: Bus['hint']
}

export function answerAdministration(answer: Answer, tools: Tools): Promise<Stoppable>[] {
  const { store, hasher, credentials, metrics, hint } = tools

  async function changed<R>(
    { name }: { name: string },
    log: Logger,
    what: object,
    work: (writer: DirectoryWriter) => Promise<R>,
  ): Promise<R> {
    const { result, revision } = await store.change(work)
    const operation = name.slice(name.indexOf('.') + 1)
    metrics.changed(operation)
    log.info({ operation, revision, ...what }, 'directory changed')
    hint(contracts.DirectoryChanged, { revision })
    return result
  }

  async function credentialOf({ password, passwordHash }: z.output<typeof contracts.changeAccount.input>) {
    if (passwordHash === undefined) return password === undefined ? null : makeCredential(password, credentials, hasher)
    if (password !== undefined) throw invalid('passwordHash', 'not beside a password')
    return takeOver(passwordHash)
  }

  const { addDomain, changeDomain, removeDomain, listDomains } = contracts
  const { addAccount, changeAccount, removeAccount, listAccounts } = contracts
  const { addAlias, changeAlias, removeAlias, listAliases } = contracts
  const { addSigningKey, listSigningKeys, activateSigningKey, retireSigningKey, removeSigningKey } = contracts
  const { addTransport, changeTransport, removeTransport, listTransports } = contracts

  return [
    answer(addDomain, (input, { log }) =>
      changed(addDomain, log, { domain: input.domain }, (writer) => insertDomain(input, writer, new Date())),
    ),
    answer(changeDomain, (input, { log }) =>
      changed(changeDomain, log, { domain: input.domain }, (writer) => updateDomain(input, writer)),
    ),
    answer(removeDomain, ({ domain }, { log }) =>
      changed(removeDomain, log, { domain }, (writer) => deleteDomain(domain, writer)),
    ),
    answer(listDomains, async ({ domain, after = '', limit }) => {
      const rows =
        domain === undefined
          ? await store.domainPage(after, limit + 1)
          : await store.domains([domainField('domain', domain)])
      const { items, more } = pageOf(rows, limit)
      return { domains: items.map(domainView), more }
    }),

    answer(addAccount, async (input, { log }) => {
      const credential = await credentialOf(input)
      const { address } = input
      return changed(addAccount, log, { address }, (writer) => insertAccount(input, credential, writer, new Date()))
    }),
    answer(changeAccount, async (input, { log }) => {
      const credential = await credentialOf(input)
      const { address } = input
      return changed(changeAccount, log, { address }, (writer) => updateAccount(input, credential, writer))
    }),
    answer(removeAccount, ({ address }, { log }) =>
      changed(removeAccount, log, { address }, (writer) => deleteAccount(address, writer)),
    ),
    answer(listAccounts, async ({ domain, address, after, limit }) => {
      const rows =
        address === undefined
          ? await store.accountPage(optionalDomain(domain), afterName(after), limit + 1)
          : present(await store.accountNamed(nameField('address', address)))
      const { items, more } = pageOf(rows, limit)
      return { accounts: items.map(accountView), more }
    }),

    answer(addAlias, (input, { log }) =>
      changed(addAlias, log, { address: input.address }, (writer) => insertAlias(input, writer, new Date())),
    ),
    answer(changeAlias, (input, { log }) =>
      changed(changeAlias, log, { address: input.address }, (writer) => updateAlias(input, writer)),
    ),
    answer(removeAlias, ({ address }, { log }) =>
      changed(removeAlias, log, { address }, (writer) => deleteAlias(address, writer)),
    ),
    answer(listAliases, async ({ domain, kinds = null, address, after, limit }) => {
      const rows =
        address === undefined
          ? await store.aliasPage({ domain: optionalDomain(domain), kinds }, afterName(after), limit + 1)
          : present(await store.alias(nameField('address', address)))
      const { items, more } = pageOf(rows, limit)
      return { aliases: items.map(aliasView), more }
    }),

    answer(addSigningKey, async (input, { log }) => {
      const pairs = await newKeyPairs(input)
      const { domain } = input
      const work = (writer: DirectoryWriter) => insertKeys(input, pairs, writer, new Date())
      return { keys: await changed(addSigningKey, log, { domain }, work) }
    }),
    answer(activateSigningKey, (name, { log }) =>
      changed(activateSigningKey, log, name, (writer) => activateKey(name, writer, new Date())),
    ),
    answer(retireSigningKey, (name, { log }) =>
      changed(retireSigningKey, log, name, (writer) => retireKey(name, writer, new Date())),
    ),
    answer(removeSigningKey, (input, { log }) =>
      changed(removeSigningKey, log, input, (writer) => deleteKey(input, writer, new Date())),
    ),
    answer(listSigningKeys, async ({ domain, after, limit }) => {
      const rows = await store.dkimKeyPage(optionalDomain(domain), after ?? firstKey, limit + 1)
      const { items, more } = pageOf(rows, limit)
      return { keys: items.map(dkimKeyView), more }
    }),
    answer(addTransport, (input, { log }) =>
      changed(addTransport, log, { transport: input.name }, (writer) => insertTransport(input, writer, new Date())),
    ),
    answer(changeTransport, (input, { log }) =>
      changed(changeTransport, log, { transport: input.name }, (writer) => updateTransport(input, writer)),
    ),
    answer(removeTransport, ({ name }, { log }) =>
      changed(removeTransport, log, { transport: name }, (writer) => deleteTransport(name, writer)),
    ),
    answer(listTransports, async ({ name, after = '', limit }) => {
      const rows =
        name === undefined ? await store.transportPage(after, limit + 1) : present(await store.transport(name))
      const { items, more } = pageOf(rows, limit)
      return { transports: items.map(transportView), more }
    }),
  ]
}

/** Rows were asked for one more than a page holds. */
function pageOf<Row>(rows: readonly Row[], limit: number): { items: Row[]; more: boolean } {
  return { items: rows.slice(0, limit), more: rows.length > limit }
}

const present = <Row>(row: Row | undefined): Row[] => (row === undefined ? [] : [row])

const optionalDomain = (domain: string | undefined) => (domain === undefined ? null : domainField('domain', domain))

const firstKey: DkimKeyName = { domain: '', selector: '' }

const afterName = (after: string | undefined): Name =>
  after === undefined ? { domain: '', localPart: '' } : nameField('after', after)
