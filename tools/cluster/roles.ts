/**
 * Roles, schemas and rights in PostgreSQL. A service's role owns the schema of its tables and may not even look into another's; spool
 * and message bytes, where they are kept there, belong to the one service that frees them, and the others get what their work needs.
 */

/** Services that keep tables; the schema is called as the service is. */
export const owners = ['custody', 'delivery', 'directory', 'mailstore'] as const

/** Everybody with a password. `observer` sees which versions' migrations are done, and nothing else. */
export const roles = [...owners, 'imap', 'inbound', 'pop3', 'submission', 'observer'] as const
export type Role = (typeof roles)[number]

interface Shared {
  schema: 'spool' | 'blobs'
  owner: Role
  /** May add, and take back what was not finished. */
  writers: Role[]
  readers: Role[]
}

/** Intake creates records, custody frees them. A client's literal is staged by imap, and the mailstore's from then on. */
export const shared: readonly Shared[] = [
  { schema: 'spool', owner: 'custody', writers: ['submission', 'inbound'], readers: ['delivery', 'mailstore'] },
  { schema: 'blobs', owner: 'mailstore', writers: ['imap'], readers: ['pop3'] },
]

/** Where it is noted which versions' migrations are done. */
export const NOTES_SCHEMA = 'cluster'

/** What is done before any migration, as an administrator; again changes nothing but passwords. */
export function preparation(database: string, passwordOf: (role: Role) => string, holdsBytes: boolean): string {
  const schemas: [schema: string, owner: Role][] = [
    ...owners.map((owner): [string, Role] => [owner, owner]),
    ...(holdsBytes ? shared.map(({ schema, owner }): [string, Role] => [schema, owner]) : []),
  ]
  return [
    ...roles.flatMap((role) => [
      `do $$ begin if to_regrole('${role}') is null then create role ${role}; end if; end $$`,
      `alter role ${role} login password ${literal(passwordOf(role))}`,
      // An administrator that is no superuser can only give to roles it is a member of.
      `grant ${role} to current_user`,
    ]),
    `revoke all on database ${identifier(database)} from public`,
    `grant connect on database ${identifier(database)} to ${roles.join(', ')}`,
    ...schemas.map(([schema, owner]) => `create schema if not exists ${schema} authorization ${owner}`),
    `create schema if not exists ${NOTES_SCHEMA}`,
    `create table if not exists ${NOTES_SCHEMA}.migrated (version text primary key, at timestamptz not null default now())`,
    `grant usage on schema ${NOTES_SCHEMA} to observer`,
    `grant select on ${NOTES_SCHEMA}.migrated to observer`,
  ].join(';\n')
}

/** What is done after the migrations: rights on the tables there are now. */
export const sharing = (): string =>
  shared
    .flatMap(({ schema, writers, readers }) => [
      `grant usage on schema ${schema} to ${[...writers, ...readers].join(', ')}`,
      `grant select on all tables in schema ${schema} to ${[...writers, ...readers].join(', ')}`,
      `grant insert, update, delete on all tables in schema ${schema} to ${writers.join(', ')}`,
      `grant usage on all sequences in schema ${schema} to ${writers.join(', ')}`,
    ])
    .join(';\n')

/** Text as it stands in a statement; standard_conforming_strings is on everywhere. */
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`
