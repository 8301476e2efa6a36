/** An address that may be given to somebody: of a local domain, and nobody's yet. */
import { formatName } from '../addresses/names.ts'
import { invalid, Refusal } from '../refusal.ts'
import type { DirectoryReader, Name } from '../store.ts'

export async function freeName(name: Name, ports: Pick<DirectoryReader, 'domains' | 'names'>): Promise<Name> {
  const [domain] = await ports.domains([name.domain])
  if (domain === undefined) throw new Refusal('noSuchDomain', `address: ${name.domain} is none of ours`)
  if (domain.kind !== 'local') {
    throw invalid('address', `${name.domain} is a domain of kind ${domain.kind}; use ${domain.target ?? 'a local one'}`)
  }
  const [taken] = await ports.names([name])
  if (taken !== undefined) throw new Refusal('exists', `address: ${formatName(name)} exists (${taken.kind})`)
  return name
}
