/** Changing the tables, inside one transaction. */
import type { Transaction } from '@postbus/sql'

import type {
  AccountRecord,
  AliasRecord,
  Credential,
  DirectoryWriter,
  DkimKeyRecord,
  DomainRecord,
  TransportRecord,
} from '../../store.ts'
import { type Reads, readerOver } from './reader.ts'
import { NO_SCRAM, type Tables } from './tables.ts'

export function writerOver(transaction: Transaction<Tables>, reads: Reads): DirectoryWriter {
  const { query } = transaction
  return {
    ...readerOver(transaction, reads),

    async insertDomain(domain) {
      await query.insertInto('domain').values(domainRow(domain)).execute()
    },
    async updateDomain(domain) {
      await query.updateTable('domain').set(domainRow(domain)).where('domain', '=', domain.domain).execute()
    },
    async deleteDomain(domain) {
      await query.deleteFrom('domain').where('domain', '=', domain).execute()
    },
    async userOfDomain(domain) {
      const name = await query.selectFrom('name').select('local_part').where('domain', '=', domain).executeTakeFirst()
      if (name !== undefined) return `${name.local_part}@${domain}`
      const target = query.selectFrom('domain').select('domain').where('target', '=', domain)
      const pointing = await target.executeTakeFirst()
      if (pointing !== undefined) return pointing.domain
      const keys = query.selectFrom('dkim_key').select('selector').where('domain', '=', domain)
      const key = await keys.where('state', '=', 'active').executeTakeFirst()
      return key && `its DKIM key ${key.selector}`
    },

    async insertAccount(account) {
      await query.insertInto('account').values(accountRow(account)).execute()
      const { domain, localPart, createdAt } = account
      const name = { domain, local_part: localPart, kind: 'account' as const, owner: null, created_at: createdAt }
      await query
        .insertInto('name')
        .values({ ...name, account: account.account })
        .execute()
    },
    async updateAccount(account) {
      await query.updateTable('account').set(accountRow(account)).where('account', '=', account.account).execute()
    },
    async deleteAccount(account) {
      await query.deleteFrom('account').where('account', '=', account).execute()
      await query.deleteFrom('sending').where('account', '=', account).execute()
    },
    async putCredential(account, credential) {
      const row = credentialRow(credential)
      await query
        .insertInto('credential')
        .values({ account, ...row })
        .onConflict((conflict) => conflict.column('account').doUpdateSet(row))
        .execute()
    },

    async insertAlias(alias) {
      await query.insertInto('name').values(aliasRow(alias)).execute()
      await insertMembers(transaction, alias)
    },
    async updateAlias(alias) {
      const { domain, localPart } = alias
      const named = { domain, local_part: localPart }
      await query
        .updateTable('name')
        .set(aliasRow(alias))
        .where((eb) => eb.and(named))
        .execute()
      await query
        .deleteFrom('member')
        .where((eb) => eb.and(named))
        .execute()
      await insertMembers(transaction, alias)
    },
    async deleteAlias({ domain, localPart }) {
      await query.deleteFrom('name').where('domain', '=', domain).where('local_part', '=', localPart).execute()
    },

    async insertDkimKey(key) {
      await query.insertInto('dkim_key').values(dkimKeyRow(key)).execute()
    },
    async updateDkimKey(key) {
      const { state, activated_at, retired_at } = dkimKeyRow(key)
      await query
        .updateTable('dkim_key')
        .set({ state, activated_at, retired_at })
        .where('domain', '=', key.domain)
        .where('selector', '=', key.selector)
        .execute()
    },
    async deleteDkimKey({ domain, selector }) {
      await query.deleteFrom('dkim_key').where('domain', '=', domain).where('selector', '=', selector).execute()
    },
    async insertTransport(transport) {
      await query.insertInto('transport').values(transportRow(transport)).execute()
    },
    async updateTransport(transport) {
      await query.updateTable('transport').set(transportRow(transport)).where('name', '=', transport.name).execute()
    },
    async deleteTransport(name) {
      await query.deleteFrom('transport').where('name', '=', name).execute()
    },
  }
}

async function insertMembers({ query }: Transaction<Tables>, alias: AliasRecord): Promise<void> {
  for (const [position, member] of alias.members.entries()) {
    const row = { domain: alias.domain, local_part: alias.localPart, position, forward_path: member }
    await query.insertInto('member').values(row).execute()
  }
}

function domainRow(domain: DomainRecord) {
  return {
    domain: domain.domain,
    kind: domain.kind,
    target: domain.target,
    subaddress_separator: domain.subaddressSeparator,
    catch_all: domain.catchAll,
    created_at: domain.createdAt,
  }
}

function accountRow(account: AccountRecord) {
  return {
    account: account.account,
    name: account.name,
    enabled: account.enabled ? 1 : 0,
    quota_bytes: account.quotaBytes,
    recipients_per_hour: account.recipientsPerHour,
    messages_per_hour: account.messagesPerHour,
    credential_version: account.credentialVersion,
    created_at: account.createdAt,
  }
}

function aliasRow({ domain, localPart, kind, owner, createdAt }: AliasRecord) {
  return { domain, local_part: localPart, kind, owner, account: null, created_at: createdAt }
}

function dkimKeyRow(key: DkimKeyRecord) {
  return {
    domain: key.domain,
    selector: key.selector,
    algorithm: key.algorithm,
    bits: key.bits,
    state: key.state,
    private_key: key.privateKey,
    public_key: key.publicKey,
    created_at: key.createdAt,
    activated_at: key.activatedAt,
    retired_at: key.retiredAt,
  }
}

function transportRow({ name, match, action, policy, createdAt }: TransportRecord) {
  const { password = null, ...open } = { password: undefined, ...action }
  return {
    name,
    domain: match.domain,
    sender: match.sender ?? '',
    action: JSON.stringify(open),
    policy: JSON.stringify(policy),
    password,
    created_at: createdAt,
  }
}

const NOTHING = new Uint8Array()

export const credentialRow = ({ passwordHash, scram }: Credential) => ({
  password_hash: passwordHash,
  scram_salt: scram?.salt ?? NOTHING,
  scram_iterations: scram?.iterations ?? NO_SCRAM,
  scram_stored_key: scram?.storedKey ?? NOTHING,
  scram_server_key: scram?.serverKey ?? NOTHING,
})
