/** Adding, changing and removing domains: what must hold before it is written. */
import type { addDomain, changeDomain, Domain } from '@postbus/contracts'
import type { z } from 'zod'

import { nameKey, parseName } from '../addresses/names.ts'
import { invalid, Refusal } from '../refusal.ts'
import type { DirectoryReader, DirectoryWriter, DomainRecord } from '../store.ts'
import { domainField, pathField, separatorField } from './fields.ts'

const DEFAULT_SEPARATOR = '+'

type Ports = Pick<
  DirectoryWriter,
  'domains' | 'names' | 'insertDomain' | 'updateDomain' | 'deleteDomain' | 'userOfDomain'
>

export async function insertDomain(input: z.output<typeof addDomain.input>, ports: Ports, now: Date): Promise<Domain> {
  const { kind } = input
  const domain = domainField('domain', input.domain)
  const [existing] = await ports.domains([domain])
  if (existing !== undefined) throw new Refusal('exists', `domain: ${domain} exists (${existing.kind})`)
  const separator = kind === 'local' ? DEFAULT_SEPARATOR : null
  const record = await checked(
    {
      domain,
      kind,
      target: input.target === undefined ? null : domainField('target', input.target),
      subaddressSeparator: input.subaddressSeparator === undefined ? separator : input.subaddressSeparator,
      catchAll: input.catchAll ?? null,
      createdAt: now.toISOString(),
    },
    ports,
  )
  await ports.insertDomain(record)
  return domainView(record)
}

export async function updateDomain(input: z.output<typeof changeDomain.input>, ports: Ports): Promise<Domain> {
  const domain = await domainNamed(input.domain, ports)
  const record = await checked(
    {
      ...domain,
      target: input.target === undefined ? domain.target : domainField('target', input.target),
      subaddressSeparator:
        input.subaddressSeparator === undefined ? domain.subaddressSeparator : input.subaddressSeparator,
      catchAll: input.catchAll === undefined ? domain.catchAll : input.catchAll,
    },
    ports,
  )
  await ports.updateDomain(record)
  return domainView(record)
}

export async function deleteDomain(value: string, ports: Ports): Promise<Domain> {
  const domain = await domainNamed(value, ports)
  const user = await ports.userOfDomain(domain.domain)
  if (user !== undefined) throw new Refusal('inUse', `domain: ${domain.domain} is used by ${user}`)
  await ports.deleteDomain(domain.domain)
  return domainView(domain)
}

/** The domain an operator named. */
export async function domainNamed(value: string, ports: Pick<DirectoryReader, 'domains'>): Promise<DomainRecord> {
  const name = domainField('domain', value)
  const [domain] = await ports.domains([name])
  if (domain === undefined) throw new Refusal('noSuchDomain', `domain: ${name} is none of ours`)
  return domain
}

async function checked(domain: DomainRecord, ports: Pick<DirectoryReader, 'domains' | 'names'>): Promise<DomainRecord> {
  if (domain.kind === 'local') {
    if (domain.target !== null) throw invalid('target', 'a local domain has none')
    const catchAll = await checkedCatchAll(domain, ports)
    return {
      ...domain,
      catchAll,
      subaddressSeparator: separatorField('subaddressSeparator', domain.subaddressSeparator),
    }
  }
  // Who is there, and what a detail is, the target decides.
  if (domain.catchAll !== null) throw invalid('catchAll', `only a local domain has one, not ${domain.kind}`)
  if (domain.subaddressSeparator !== null) {
    throw invalid('subaddressSeparator', `only a local domain has one, not ${domain.kind}`)
  }
  await checkTarget(domain, ports)
  return domain
}

async function checkTarget(
  { domain, kind, target }: DomainRecord,
  ports: Pick<DirectoryReader, 'domains'>,
): Promise<void> {
  if (target === null) throw invalid('target', `a domain of kind ${kind} needs one`)
  if (target === domain) throw invalid('target', 'the domain itself')
  const [record] = await ports.domains([target])
  if (kind === 'alias' && record === undefined) throw new Refusal('noSuchDomain', `target: ${target} is none of ours`)
  if (kind === 'alias' && record?.kind !== 'local') throw invalid('target', `${target} is not local`)
  // Rewriting to a rewritten domain could go round in circles.
  if (kind === 'rewrite' && record?.kind === 'rewrite') throw invalid('target', `${target} is rewritten itself`)
}

/** A catch-all in its own domain that nobody has would catch its own mail. */
async function checkedCatchAll({ domain, catchAll }: DomainRecord, ports: Pick<DirectoryReader, 'names'>) {
  if (catchAll === null) return null
  const path = pathField('catchAll', catchAll)
  const name = parseName(path)
  if (name === null || name.domain !== domain) return path
  const [found] = await ports.names([name])
  if (found === undefined) throw invalid('catchAll', `${nameKey(name)} does not exist`)
  return path
}

export function domainView({ target, catchAll, ...domain }: DomainRecord): Domain {
  return { ...domain, ...(target === null ? {} : { target }), ...(catchAll === null ? {} : { catchAll }) }
}
