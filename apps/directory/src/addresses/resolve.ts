/**
 * One step from each address towards its mailbox. The order is in the README, and is this:
 * rewrite domain → alias domain → the exact name → the name before the separator → postmaster and abuse → catch-all.
 *
 * STANDARDS  RFC 5321 §2.4, §3.9, §4.5.1 (postmaster); RFC 5233 (subaddress); RFC 2142 §5 (abuse)
 */
import type { Resolution } from '@postbus/contracts'
import { formatPath } from '@postbus/smtp'

import type { DirectoryReader, DomainRecord, Name, NameRecord } from '../store.ts'
import { foldLocalPart, formatName, nameKey, type ParsedName, parseName } from './names.ts'

export interface ResolveSettings {
  /** Who reads mail to a postmaster nobody was named for; null: the oldest account. */
  postmaster: string | null
  /** Address literals that are this machine, lower case. */
  addressLiterals: readonly string[]
}

export type ResolvePorts = Pick<DirectoryReader, 'domains' | 'names' | 'primaryDomain' | 'oldestAccount'>

export async function resolveAddresses(
  addresses: readonly string[],
  ports: ResolvePorts,
  settings: ResolveSettings,
): Promise<Resolution[]> {
  const primary = memo(() => ports.primaryDomain())
  const parsed = await Promise.all(addresses.map((address) => parseRecipient(address, settings, primary)))
  const domains = await domainsOf(parsed, ports)
  const places = parsed.map((name) => (name === null ? null : placeOf(name, domains)))
  const names = await namesOf(places, ports)
  return Promise.all(
    places.map(async (place): Promise<Resolution> => {
      if (place === null) return { kind: 'unknown' }
      return 'resolution' in place ? place.resolution : resolveLocal(place, names, ports, settings)
    }),
  )
}

/** Where a name lives: decided already by its domain, or a local part of one of our domains. */
type Place = { resolution: Resolution } | LocalPlace

interface LocalPlace {
  domain: DomainRecord
  exact: Name
  /** The name without its detail, where the domain has subaddresses and this is one. */
  base: (Name & { detail: string }) | null
}

/** `<Postmaster>` without a domain must be accepted — RFC 5321 §4.5.1; it is the primary domain's, as literals of ours are. */
async function parseRecipient(
  address: string,
  { addressLiterals }: ResolveSettings,
  primary: () => Promise<DomainRecord | undefined>,
): Promise<ParsedName | null> {
  const bare = /^postmaster$/i.test(address)
  const name = bare ? { localPart: 'postmaster', spelling: address, domain: '' } : parseName(address)
  if (name === null || !(bare || addressLiterals.includes(name.domain))) return name
  const domain = (await primary())?.domain
  return domain === undefined ? null : { ...name, domain }
}

async function domainsOf(
  names: readonly (ParsedName | null)[],
  ports: ResolvePorts,
): Promise<ReadonlyMap<string, DomainRecord>> {
  const asked = new Set(names.flatMap((name) => (name === null ? [] : [name.domain])))
  const domains = new Map<string, DomainRecord>()
  const load = async (wanted: readonly string[]) => {
    if (wanted.length === 0) return
    for (const domain of await ports.domains(wanted)) domains.set(domain.domain, domain)
  }
  await load([...asked])
  const targets = [...domains.values()].flatMap(({ kind, target }) => (kind === 'alias' && target ? [target] : []))
  await load(targets.filter((target) => !domains.has(target)))
  return domains
}

function placeOf(name: ParsedName, domains: ReadonlyMap<string, DomainRecord>): Place {
  const named = domains.get(name.domain)
  if (named === undefined) return { resolution: { kind: 'remote', domain: name.domain } }
  if (named.kind === 'rewrite') {
    const target = named.target ?? ''
    const rule = `rewrite ${named.domain} to ${target}`.slice(0, 200)
    // The spelling stays: the target need not be ours, and then only its host may interpret the local part — RFC 5321 §2.3.11.
    return {
      resolution: { kind: 'rewrite', rule, forwardPath: formatPath({ localPart: name.spelling, domain: target }) },
    }
  }
  const domain = named.kind === 'alias' ? domains.get(named.target ?? '') : named
  if (domain === undefined) return { resolution: { kind: 'unknown' } }
  const exact = { domain: domain.domain, localPart: name.localPart }
  return { domain, exact, base: baseOf(name.spelling, domain) }
}

function baseOf(spelling: string, { domain, subaddressSeparator }: DomainRecord): LocalPlace['base'] {
  if (subaddressSeparator === null) return null
  const at = spelling.indexOf(subaddressSeparator)
  if (at <= 0) return null
  return { domain, localPart: foldLocalPart(spelling.slice(0, at)), detail: spelling.slice(at + 1) }
}

async function namesOf(
  places: readonly (Place | null)[],
  ports: ResolvePorts,
): Promise<ReadonlyMap<string, NameRecord>> {
  const wanted = new Map<string, Name>()
  for (const place of places) {
    if (place === null || 'resolution' in place) continue
    wanted.set(nameKey(place.exact), place.exact)
    if (place.base !== null) wanted.set(nameKey(place.base), place.base)
  }
  const found = wanted.size === 0 ? [] : await ports.names([...wanted.values()])
  return new Map(found.map((name) => [nameKey(name), name]))
}

async function resolveLocal(
  { domain, exact, base }: LocalPlace,
  names: ReadonlyMap<string, NameRecord>,
  ports: ResolvePorts,
  settings: ResolveSettings,
): Promise<Resolution> {
  const own = names.get(nameKey(exact))
  if (own !== undefined) return resolutionOf(own)
  const plain = base && names.get(nameKey(base))
  if (base && plain) return resolutionOf(plain, base.detail)
  const duty = await roleAccount(exact, ports, settings)
  if (duty !== null) return { kind: 'alias', name: formatName(exact), members: [duty] }
  const { catchAll } = domain
  if (catchAll === null || sameName(catchAll, exact)) return { kind: 'unknown' }
  return { kind: 'alias', name: `*@${domain.domain}`, members: [catchAll] }
}

/**
 * Every domain MUST have a postmaster — RFC 5321 §4.5.1, and should have an abuse@ — RFC 2142 §5: both reach somebody
 * even where the operator named nobody. Null for other names, and where nobody is there at all.
 */
async function roleAccount(name: Name, ports: ResolvePorts, { postmaster }: ResolveSettings): Promise<string | null> {
  if (name.localPart === 'abuse') return formatName({ ...name, localPart: 'postmaster' })
  if (name.localPart !== 'postmaster') return null
  if (postmaster !== null && !sameName(postmaster, name)) return postmaster
  const oldest = await ports.oldestAccount(name.domain)
  return oldest === undefined ? null : formatName(oldest)
}

function resolutionOf(name: NameRecord, detail = ''): Resolution {
  const address = formatName(name)
  switch (name.kind) {
    case 'account':
      if (!name.enabled) return { kind: 'disabled' }
      return { kind: 'account', account: name.account, address, ...(detail === '' ? {} : { detail }) }
    case 'alias':
      return { kind: 'alias', name: address, members: name.members }
    case 'group':
    case 'list':
      // RFC 5321 §3.9.2: the list's administrator gets the reports. Written without an owner it cannot be.
      return { kind: 'list', name: address, members: name.members, reversePath: name.owner ?? '' }
    case 'discard':
      return { kind: 'discard', rule: `discard ${address}`.slice(0, 200) }
  }
}

function sameName(address: string, name: Name): boolean {
  const parsed = parseName(address)
  return parsed !== null && nameKey(parsed) === nameKey(name)
}

function memo<R>(ask: () => Promise<R>): () => Promise<R> {
  let asked: Promise<R> | undefined
  return () => {
    asked ??= ask()
    return asked
  }
}
