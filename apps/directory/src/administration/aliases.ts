/** Adding, changing and removing aliases, groups, lists and discarding addresses. */
import { type addAlias, type Alias, type changeAlias, MAX_MEMBERS } from '@postbus/contracts'
import type { z } from 'zod'

import { formatName, nameKey, parseName } from '../addresses/names.ts'
import { invalid, Refusal } from '../refusal.ts'
import type { AliasRecord, DirectoryReader, DirectoryWriter } from '../store.ts'
import { nameField, pathField } from './fields.ts'
import { freeName } from './free-name.ts'

type Ports = Pick<DirectoryWriter, 'domains' | 'names' | 'alias' | 'insertAlias' | 'updateAlias' | 'deleteAlias'>

export async function insertAlias(input: z.output<typeof addAlias.input>, ports: Ports, now: Date): Promise<Alias> {
  const { domain, localPart } = await freeName(nameField('address', input.address), ports)
  const { kind, members, owner = null } = input
  const record = checked({ domain, localPart, kind, members, owner, createdAt: now.toISOString() })
  await ports.insertAlias(record)
  return aliasView(record)
}

export async function updateAlias(input: z.output<typeof changeAlias.input>, ports: Ports): Promise<Alias> {
  const alias = await aliasAt(input.address, ports)
  const kind = input.kind ?? alias.kind
  // What the new kind cannot have goes, unless it was given with it: then it is refused below.
  const members = input.members ?? (kind === 'discard' ? [] : alias.members)
  const owner = input.owner ?? (sendsAsOwner(kind) ? alias.owner : null)
  const record = checked({ ...alias, kind, members, owner })
  await ports.updateAlias(record)
  return aliasView(record)
}

export async function deleteAlias(address: string, ports: Ports): Promise<Alias> {
  const alias = await aliasAt(address, ports)
  await ports.deleteAlias(alias)
  return aliasView(alias)
}

async function aliasAt(address: string, ports: Pick<DirectoryReader, 'alias'>): Promise<AliasRecord> {
  const name = nameField('address', address)
  const alias = await ports.alias(name)
  if (alias === undefined) throw new Refusal('noSuchAlias', `address: ${formatName(name)} is no alias, group or list`)
  return alias
}

const sendsAsOwner = (kind: Alias['kind']): boolean => kind === 'group' || kind === 'list'

/** Longer circles than an alias of itself are cut by the router, which must be safe from them anyway. */
function checked(alias: AliasRecord): AliasRecord {
  const { kind, owner } = alias
  const own = nameKey(alias)
  const members = distinct(alias.members.map((member) => pathField('members', member)))
  if (members.length > MAX_MEMBERS) throw invalid('members', `at most ${MAX_MEMBERS}`)
  if (kind === 'discard' && members.length > 0) throw invalid('members', 'an address of kind discard has none')
  if (kind !== 'discard' && members.length === 0)
    throw invalid('members', `an address of kind ${kind} needs at least one`)
  if (members.some((member) => keyOf(member) === own)) throw invalid('members', 'the address itself')
  if (!sendsAsOwner(kind) && owner !== null) throw invalid('owner', `an address of kind ${kind} has none`)
  if (!sendsAsOwner(kind)) return { ...alias, members }
  // RFC 5321 §3.9.2: reports must reach whoever keeps the list, not the list.
  if (owner === null) throw invalid('owner', `a ${kind} needs one: reports go there`)
  if (keyOf(owner) === own) throw invalid('owner', 'the address itself: reports would go to all its members')
  return { ...alias, members, owner: pathField('owner', owner) }
}

function distinct(paths: readonly string[]): string[] {
  return [...new Map(paths.map((path) => [keyOf(path), path])).values()]
}

function keyOf(path: string): string {
  const name = parseName(path)
  return name === null ? path : nameKey(name)
}

export function aliasView({ domain, localPart, owner, ...alias }: AliasRecord): Alias {
  return { ...alias, address: formatName({ domain, localPart }), ...(owner === null ? {} : { owner }) }
}
