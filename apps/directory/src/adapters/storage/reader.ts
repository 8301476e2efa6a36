/** Reading the tables; the same statements inside a change and outside. */
import { TransportAction, TransportPolicy } from '@postbus/contracts'
import type { Database, Param, Reader } from '@postbus/sql'
import { sql } from 'kysely'

import type {
  AccountRecord,
  AliasRecord,
  DirectoryReader,
  DkimKeyRecord,
  DomainRecord,
  Name,
  NameRecord,
  ScramCredential,
  TransportRecord,
} from '../../store.ts'
import { NO_SCRAM, type Tables } from './tables.ts'

type DomainRow = Omit<Tables['domain'], 'id'>
type AccountRow = Omit<Tables['account'], 'id'> & { domain: string; local_part: string }

interface ResolvedRow {
  domain: string
  local_part: string
  kind: Tables['name']['kind']
  account: string | null
  enabled: number | null
  owner: string | null
  forward_path: string | null
}

/** The statements of every resolution: compiled once, any number of names in one JSON parameter. */
export function prepareReads(db: Database<Tables>) {
  const asked = askedIn(db)
  return {
    revision: db.prepare((query, _: Param<Record<string, never>>) => query.selectFrom('revision').select('value')),
    domains: db.prepare((query, param: Param<{ names: string }>) =>
      sql<DomainRow>`
        select domain, kind, target, subaddress_separator, catch_all, created_at from domain
        where domain in (select value ->> 0 from ${asked(param('names'))})`.compile(query),
    ),
    names: db.prepare((query, param: Param<{ names: string }>) =>
      sql<ResolvedRow>`
        select n.domain, n.local_part, n.kind, n.account, a.enabled, n.owner, m.forward_path
        from ${asked(param('names'))}
        ${joinInOrder(db)} name as n on n.domain = asked.value ->> 0 and n.local_part = asked.value ->> 1
        left join account as a on a.account = n.account
        left join member as m on m.domain = n.domain and m.local_part = n.local_part
        order by asked.key, m.position`.compile(query),
    ),
    account: db.prepare((query, param: Param<{ account: string }>) =>
      accounts(query).where('account.account', '=', param('account')),
    ),
    accountNamed: db.prepare((query, param: Param<Name>) =>
      accounts(query).where('name.domain', '=', param('domain')).where('name.local_part', '=', param('localPart')),
    ),
    credential: db.prepare((query, param: Param<{ account: string }>) =>
      query.selectFrom('credential').selectAll().where('account', '=', param('account')),
    ),
    activeDkimKeys: db.prepare((query, param: Param<{ names: string }>) =>
      sql<Tables['dkim_key']>`
        select * from dkim_key
        where state = 'active' and domain in (select value ->> 0 from ${asked(param('names'))})
        order by domain, algorithm`.compile(query),
    ),
    members: db.prepare((query, param: Param<{ names: string }>) =>
      sql<Tables['member']>`
        select m.* from ${asked(param('names'))}
        ${joinInOrder(db)} member as m on m.domain = asked.value ->> 0 and m.local_part = asked.value ->> 1
        order by asked.key, m.position`.compile(query),
    ),
  }
}
/** A JSON array of arrays as rows `asked`: each array as `value`, its place as `key`. */
const askedIn = ({ dialect }: Database<Tables>) =>
  dialect === 'sqlite'
    ? (json: string) => sql`json_each(${json}) as asked`
    : (json: string) => sql`jsonb_array_elements(${json}::jsonb) with ordinality as asked (value, key)`

/** SQLite is told which side to begin with; PostgreSQL finds out. */
const joinInOrder = ({ dialect }: Database<Tables>) => (dialect === 'sqlite' ? sql`cross join` : sql`join`)

const listed = (names: readonly string[]): string => JSON.stringify(names.map((name) => [name]))

export type Reads = ReturnType<typeof prepareReads>

export function readerOver(db: Reader<Tables>, reads: Reads): DirectoryReader {
  return {
    revision: async () => (await db.first(reads.revision, {}))?.value ?? 0,
    domains: async (names) => (await db.all(reads.domains, { names: listed(names) })).map(domainOf),
    names: async (names) => {
      const asked = JSON.stringify(names.map(({ domain, localPart }) => [domain, localPart]))
      return namesOf(await db.all(reads.names, { names: asked }))
    },

    async primaryDomain() {
      const local = db.query.selectFrom('domain').selectAll().where('kind', '=', 'local')
      const row = await local.orderBy('id').limit(1).executeTakeFirst()
      return row && domainOf(row)
    },

    async oldestAccount(domain) {
      const oldest = accounts(db.query).where('account.enabled', '=', 1).orderBy('account.id').limit(1)
      const row =
        (await oldest.where('name.domain', '=', domain).executeTakeFirst()) ?? (await oldest.executeTakeFirst())
      return row && { domain: row.domain, localPart: row.local_part }
    },

    async domainNames() {
      const rows = await db.query.selectFrom('domain').select(['domain', 'kind', 'id']).orderBy('domain').execute()
      const local = rows.filter(({ kind }) => kind === 'local')
      const primary = local.reduce<(typeof local)[number] | undefined>(
        (oldest, row) => (oldest !== undefined && oldest.id < row.id ? oldest : row),
        undefined,
      )
      const others = rows.filter((row) => row !== primary)
      return [...(primary ? [primary] : []), ...others].map((row) => row.domain)
    },

    async account(account) {
      const row = await db.first(reads.account, { account })
      return row && accountOf(row)
    },

    async accountNamed(name) {
      const row = await db.first(reads.accountNamed, name)
      return row && accountOf(row)
    },

    async credential(account) {
      const row = await db.first(reads.credential, { account })
      return (
        row && {
          passwordHash: row.password_hash,
          scram: scramOf(row),
        }
      )
    },

    async alias({ domain, localPart }) {
      const row = await aliases(db).where('domain', '=', domain).where('local_part', '=', localPart).executeTakeFirst()
      return row && (await withMembers(db, reads, [row]))[0]
    },

    async dkimKey({ domain, selector }) {
      const row = db.query.selectFrom('dkim_key').selectAll().where('domain', '=', domain)
      const found = await row.where('selector', '=', selector).executeTakeFirst()
      return found && dkimKeyOf(found)
    },

    async activeDkimKeys(domains) {
      return (await db.all(reads.activeDkimKeys, { names: listed(domains) })).map(dkimKeyOf)
    },

    async domainPage(after, limit) {
      const rows = db.query.selectFrom('domain').selectAll().where('domain', '>', after)
      return (await rows.orderBy('domain').limit(limit).execute()).map(domainOf)
    },

    async accountPage(domain, after, limit) {
      let rows = accounts(db.query).where(afterName(after))
      if (domain !== null) rows = rows.where('name.domain', '=', domain)
      return (await rows.orderBy('name.domain').orderBy('name.local_part').limit(limit).execute()).map(accountOf)
    },

    async aliasPage({ domain, kinds }, after, limit) {
      let rows = aliases(db).where(afterName(after))
      if (domain !== null) rows = rows.where('domain', '=', domain)
      if (kinds !== null) rows = rows.where('kind', 'in', kinds)
      return withMembers(db, reads, await rows.orderBy('domain').orderBy('local_part').limit(limit).execute())
    },

    async dkimKeyPage(domain, after, limit) {
      let rows = db.query
        .selectFrom('dkim_key')
        .selectAll()
        .where(sql<boolean>`(domain, selector) > (${after.domain}, ${after.selector})`)
      if (domain !== null) rows = rows.where('domain', '=', domain)
      return (await rows.orderBy('domain').orderBy('selector').limit(limit).execute()).map(dkimKeyOf)
    },

    async transport(name) {
      const row = await db.query.selectFrom('transport').selectAll().where('name', '=', name).executeTakeFirst()
      return row && transportOf(row)
    },

    async transportFor({ domain, sender = '' }) {
      const rows = db.query.selectFrom('transport').select('name').where('domain', '=', domain)
      return (await rows.where('sender', '=', sender).executeTakeFirst())?.name
    },

    async transportCount() {
      const { count } = await db.query
        .selectFrom('transport')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      return count
    },

    async transportPage(after, limit) {
      const rows = db.query.selectFrom('transport').selectAll().where('name', '>', after)
      return (await rows.orderBy('name').limit(limit).execute()).map(transportOf)
    },
  }
}

const accounts = (query: Reader<Tables>['query']) =>
  query
    .selectFrom('account')
    .innerJoin('name', 'name.account', 'account.account')
    .select(['account.account', 'account.name', 'enabled', 'quota_bytes', 'recipients_per_hour', 'messages_per_hour'])
    .select(['credential_version', 'account.created_at', 'name.domain', 'name.local_part'])

const aliases = ({ query }: Reader<Tables>) => query.selectFrom('name').selectAll().where('kind', '!=', 'account')

const afterName = ({ domain, localPart }: Name) =>
  sql<boolean>`(name.domain, name.local_part) > (${domain}, ${localPart})`

async function withMembers(db: Reader<Tables>, reads: Reads, rows: readonly Tables['name'][]): Promise<AliasRecord[]> {
  const names = JSON.stringify(rows.map((row) => [row.domain, row.local_part]))
  const members = await db.all(reads.members, { names })
  const byName = Map.groupBy(members, (member) => `${member.local_part}@${member.domain}`)
  return rows.flatMap(({ domain, local_part: localPart, kind, owner, created_at: createdAt }) => {
    if (kind === 'account') return []
    const own = byName.get(`${localPart}@${domain}`) ?? []
    return [{ domain, localPart, kind, owner, createdAt, members: own.map((member) => member.forward_path) }]
  })
}

/** One record per name; the rows of one name differ in the member only, and stand together. */
function namesOf(rows: readonly ResolvedRow[]): NameRecord[] {
  const names: NameRecord[] = []
  for (const { domain, local_part: localPart, kind, account, enabled, owner, forward_path: member } of rows) {
    const last = names.at(-1)
    if (kind === 'account') {
      names.push({ kind, domain, localPart, account: account ?? '', enabled: enabled === 1 })
    } else if (last !== undefined && 'members' in last && last.domain === domain && last.localPart === localPart) {
      if (member !== null) last.members.push(member)
    } else names.push({ kind, domain, localPart, owner, members: member === null ? [] : [member] })
  }
  return names
}

function domainOf(row: DomainRow): DomainRecord {
  return {
    domain: row.domain,
    kind: row.kind,
    target: row.target,
    subaddressSeparator: row.subaddress_separator,
    catchAll: row.catch_all,
    createdAt: row.created_at,
  }
}

function accountOf(row: AccountRow): AccountRecord {
  return {
    account: row.account,
    domain: row.domain,
    localPart: row.local_part,
    name: row.name,
    enabled: row.enabled === 1,
    quotaBytes: row.quota_bytes,
    recipientsPerHour: row.recipients_per_hour,
    messagesPerHour: row.messages_per_hour,
    credentialVersion: row.credential_version,
    createdAt: row.created_at,
  }
}

function scramOf(row: Tables['credential']): ScramCredential | null {
  if (row.scram_iterations === NO_SCRAM) return null
  return {
    salt: row.scram_salt,
    iterations: row.scram_iterations,
    storedKey: row.scram_stored_key,
    serverKey: row.scram_server_key,
  }
}

function dkimKeyOf(row: Tables['dkim_key']): DkimKeyRecord {
  return {
    domain: row.domain,
    selector: row.selector,
    algorithm: row.algorithm,
    bits: row.bits,
    state: row.state,
    privateKey: row.private_key,
    publicKey: row.public_key,
    createdAt: row.created_at,
    activatedAt: row.activated_at,
    retiredAt: row.retired_at,
  }
}

function transportOf({
  name,
  domain,
  sender,
  action,
  policy,
  password,
  created_at,
}: Tables['transport']): TransportRecord {
  const secret = password === null ? {} : { password }
  return {
    name,
    match: { domain, ...(sender === '' ? {} : { sender }) },
    action: TransportAction.parse({ ...JSON.parse(action), ...secret }),
    policy: TransportPolicy.parse(JSON.parse(policy)),
    createdAt: created_at,
  }
}
