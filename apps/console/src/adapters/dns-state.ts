/** What DNS says of our domains and our name. */
import { type Answer, type Dns, DnsUnavailable } from '@postbus/dns'

import type { DomainState, NameState, ResolverState } from '../doctor/domains.ts'

/** @param ours addresses that are this server's */
export async function domainState(
  dns: Dns,
  domain: string,
  keys: readonly { recordName: string; record: string }[],
  { hostname, addresses }: { hostname: string; addresses: ReadonlySet<string> },
): Promise<DomainState> {
  const exchanges = await known(dns.mx(domain))
  const mx = exchanges?.map(({ exchange }) => exchange) ?? null
  const mxOurs: string[] = []
  for (const name of mx ?? []) {
    if (name === hostname.toLowerCase()) mxOurs.push(name)
    else if (name !== '' && (await addressesOf(dns, name))?.some((address) => addresses.has(address))) mxOurs.push(name)
  }
  return {
    ...{ domain, mx, mxOurs },
    texts: await texts(dns, domain),
    dmarc: await texts(dns, `_dmarc.${domain}`),
    keys: await Promise.all(
      keys.map(async ({ recordName, record }) => ({ recordName, record, published: await texts(dns, recordName) })),
    ),
  }
}

/** By the one name that everybody's DNS has. */
export async function resolverState(dns: Dns): Promise<ResolverState> {
  try {
    const answer = await dns.ask('NS', '.')
    return { roots: answer.kind === 'answer' ? answer.records.length : 0, failure: null }
  } catch (error) {
    if (error instanceof DnsUnavailable) return { roots: 0, failure: error.message }
    throw error
  }
}

export async function nameState(dns: Dns, hostname: string): Promise<NameState> {
  const addresses = await addressesOf(dns, hostname)
  const reverse = (addresses ?? []).map(async (address) => ({ address, names: await known(dns.ptr(address)) }))
  return { hostname, addresses, reverse: await Promise.all(reverse) }
}

export async function addressesOf(dns: Dns, name: string): Promise<readonly string[] | null> {
  const [four, six] = await Promise.all([known(dns.a(name)), known(dns.aaaa(name))])
  return four === null && six === null ? null : [...(four ?? []), ...(six ?? [])]
}

async function texts(dns: Dns, name: string): Promise<string[] | null> {
  const records = await known(dns.txt(name))
  return records?.map((record) => record.toString('latin1')) ?? null
}

/** Null: DNS could not tell. */
async function known<T>(question: Promise<Answer<T>>): Promise<readonly T[] | null> {
  try {
    const answer = await question
    return answer.kind === 'answer' ? answer.records : []
  } catch (error) {
    if (error instanceof DnsUnavailable) return null
    throw error
  }
}
