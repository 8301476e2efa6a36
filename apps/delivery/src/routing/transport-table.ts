/**
 * Which transport rule is about a recipient: the most specific one. A rule for sender and domain comes before one for the
 * sender alone, that before one for the domain, that before `*`; among domains the exact one and then the longest suffix,
 * among senders the address, then the account, then the address's domain.
 */
import type { MailOut, Transport } from '@postbus/contracts'
import { normalizeDomain } from '@postbus/smtp'

export type Matched = Pick<MailOut, 'site' | 'reversePath' | 'submitter'>

export class TransportTable {
  /** By the domain of their match. */
  readonly #rules: ReadonlyMap<string, readonly Transport[]>

  /** By host and port. */
  readonly #smarthosts = new Map<string, Transport>()

  constructor(rules: readonly Transport[]) {
    this.#rules = Map.groupBy(rules, ({ match }) => match.domain)
    for (const rule of rules) {
      const { action } = rule
      if (action.kind !== 'smarthost' || action.mx) continue
      const key = `${action.host.toLowerCase()} ${action.port}`
      // Of several the first by name, whatever the order they come in next time.
      const known = this.#smarthosts.get(key)
      if (known === undefined || rule.name < known.name) this.#smarthosts.set(key, rule)
    }
  }

  /** The rule, if there is one, that leads to this smarthost. */
  smarthost(host: string, port: number): Transport | null {
    return this.#smarthosts.get(`${host.toLowerCase()} ${port}`) ?? null
  }

  /** @param accepts rules that it refuses are as if they were not there */
  find(about: Matched, accepts: (rule: Transport) => boolean = () => true): Transport | null {
    if (this.#rules.size === 0) return null
    /** Most rules name none. */
    let senders: string[] | undefined
    let best: { rule: Transport; rank: number } | null = null
    for (const [place, domain] of domainsOf(about.site).entries()) {
      for (const rule of this.#rules.get(domain) ?? []) {
        const { sender } = rule.match
        const senderPlace =
          sender === undefined ? NO_SENDER : (senders ??= sendersOf(about)).indexOf(sender.toLowerCase())
        if (senderPlace < 0 || !accepts(rule)) continue
        const rank = rankOf(domain, place, senderPlace)
        if (best === null || rank < best.rank) best = { rule, rank }
      }
    }
    return best?.rule ?? null
  }
}

const ANY = '*'
/** Beyond the places of senders. */
const NO_SENDER = 10
/** A domain has fewer labels. */
const PLACES = 1000

/** The lowest comes first. */
function rankOf(domain: string, place: number, senderPlace: number): number {
  const bySender = senderPlace !== NO_SENDER
  const byDomain = domain !== ANY
  const level = bySender ? (byDomain ? 0 : 1) : byDomain ? 2 : 3
  return (level * PLACES + place) * PLACES + senderPlace
}

/** From the most specific to `*`. An address literal has no parents. */
function domainsOf(site: string): string[] {
  const suffixes: string[] = []
  if (!site.startsWith('[')) {
    for (let dot = -1; ;) {
      suffixes.push(`.${site.slice(dot + 1)}`)
      dot = site.indexOf('.', dot + 1)
      if (dot < 0) break
    }
  }
  return [site, ...suffixes, ANY]
}

/** What a rule may call the sender, from the most specific on, in lower case. */
function sendersOf({ reversePath, submitter }: Matched): string[] {
  const account = submitter === undefined ? [] : [submitter]
  if (reversePath === '') return ['<>', ...account]
  const at = reversePath.lastIndexOf('@')
  const domain = normalizeDomain(reversePath.slice(at + 1)) ?? reversePath.slice(at + 1)
  return [`${reversePath.slice(0, at)}@${domain}`.toLowerCase(), ...account, `@${domain}`]
}
