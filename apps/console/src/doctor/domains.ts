/**
 * What DNS says of our domains, as others see it: where their mail goes, who may send for them, and what proves it.
 *
 * STANDARDS  RFC 5321 §5.1 (MX), RFC 7208 §3.2, §4.5 (SPF), RFC 6376 §3.6.2 (DKIM), RFC 7489 §6.3, §6.6.3 (DMARC), RFC 7505 (null MX)
 */
import { recordHoldsKey } from '@postbus/mail-auth'

import { error, type Finding, named, ok, unknown, warning } from './finding.ts'

export interface ResolverState {
  /** Name servers of the root that it names. */
  roots: number
  failure: string | null
}

export function judgeResolver({ roots, failure }: ResolverState): Finding {
  const todo = 'see DNS_SERVERS or /etc/resolv.conf; mail for other sites waits until it answers'
  if (failure !== null) return error('DNS', failure, todo)
  return roots > 0
    ? ok('DNS', 'answers')
    : warning(
        'DNS',
        'answers, but does not know the root of all names',
        `${todo}; what follows about domains may be wrong`,
      )
}

/** Null where DNS could not tell. */
export interface DomainState {
  domain: string
  /** Exchanges, without the dot at the end; '' is a null MX. */
  mx: readonly string[] | null
  /** Those of them that are us, by name or by address. */
  mxOurs: readonly string[]
  texts: readonly string[] | null
  dmarc: readonly string[] | null
  /** Active keys, each with what is published under its name. */
  keys: readonly { recordName: string; record: string; published: readonly string[] | null }[]
  /** There are keys that sign nothing yet. */
  prepared?: boolean
}

export function judgeDomain(state: DomainState): Finding[] {
  const check = `domain ${state.domain}`
  const problems = [judgeMx(state), judgeSpf(state), judgeDmarc(state), ...judgeKeys(state)].filter(
    (one) => one !== null,
  )
  if (problems.length === 0) return [ok(check, 'MX, SPF, DKIM and DMARC are there')]
  return problems.map(({ found, todo }) => (todo === null ? unknown(check, found) : warning(check, found, todo)))
}

interface Problem {
  found: string
  /** Null: DNS could not tell. */
  todo: string | null
}

function judgeMx({ mx, mxOurs }: DomainState): Problem | null {
  if (mx === null) return { found: 'DNS does not tell its MX', todo: null }
  if (mx.length === 0) return { found: 'has no MX', todo: 'publish one with this server’s name' }
  if (mx.includes(''))
    return { found: 'says that it takes no mail (null MX)', todo: 'publish one with this server’s name' }
  if (mxOurs.length > 0) return null
  return { found: `its MX is not this server: ${named(mx)}`, todo: 'point it here, unless a gateway stands before us' }
}

function judgeSpf({ texts }: DomainState): Problem | null {
  if (texts === null) return { found: 'DNS does not tell its SPF record', todo: null }
  const records = texts.filter((text) => /^v=spf1(?: |$)/i.test(text))
  if (records.length === 1) return null
  return records.length === 0
    ? { found: 'has no SPF record', todo: 'publish TXT “v=spf1 mx -all”, or what fits' }
    : { found: `has ${records.length} SPF records, which is as good as none`, todo: 'leave one' }
}

function judgeDmarc({ domain, dmarc }: DomainState): Problem | null {
  if (dmarc === null) return { found: 'DNS does not tell its DMARC policy', todo: null }
  const records = dmarc.filter((text) => /^v=DMARC1\s*(?:;|$)/.test(text))
  if (records.length === 1) return null
  const found =
    records.length === 0 ? 'has no DMARC policy' : `has ${records.length} DMARC policies, which is as good as none`
  return { found, todo: `publish one at _dmarc.${domain}; “v=DMARC1; p=none; rua=mailto:…” is a beginning` }
}

function judgeKeys({ domain, keys, prepared }: DomainState): Problem[] {
  if (keys.length === 0) {
    const todo = prepared
      ? `publish the prepared keys (postbus dkim record ${domain}), then postbus dkim activate`
      : `postbus dkim add ${domain}`
    return [{ found: 'signs nothing (DKIM)', todo }]
  }
  return keys.flatMap(({ recordName, record, published }): Problem[] => {
    if (published === null) return [{ found: `DNS does not tell ${recordName}`, todo: null }]
    if (published.some((text) => recordHoldsKey(text, record))) return []
    return [
      {
        found: `signs with a key that is not published: ${recordName}`,
        todo: `postbus dkim record ${domain}, and publish it`,
      },
    ]
  })
}

export interface NameState {
  hostname: string
  /** Null where DNS could not tell. */
  addresses: readonly string[] | null
  reverse: readonly { address: string; names: readonly string[] | null }[]
}

/** Many sites take no mail from an address without a name that leads back to it. */
export function judgeName({ hostname, addresses, reverse }: NameState): Finding[] {
  const check = `name ${hostname}`
  if (addresses === null) return [unknown(check, 'DNS does not tell its addresses')]
  if (addresses.length === 0)
    return [warning(check, 'has no address', 'publish A and AAAA, or set MAIL_HOSTNAME to what DNS knows')]
  const findings = reverse.flatMap(({ address, names }): Finding[] => {
    if (names === null) return [unknown(check, `DNS does not tell the name of ${address}`)]
    if (names.length === 0) {
      return [warning(check, `${address} has no name`, `have the provider set its reverse name to ${hostname}`)]
    }
    return names.some((name) => name.toLowerCase() === hostname.toLowerCase())
      ? []
      : [
          warning(
            check,
            `${address} is called ${named(names)}`,
            `have the provider set its reverse name to ${hostname}`,
          ),
        ]
  })
  return findings.length > 0 ? findings : [ok(check, `${named(addresses)}, and back`)]
}
