/**
 * What a Postfix, with Dovecot's passwd-file beside it, knows of domains, addresses and ways out, in the words of our directory.
 *
 * STANDARDS  postconf(5), virtual(5), aliases(5), transport(5) of Postfix 3
 */
import type { TransportMatch } from '@postbus/contracts'

import type { Entry, Tables } from './lookup-table.ts'
import { valuesIn } from './lookup-table.ts'
import type { MainCf } from './main-cf.ts'
import type { PasswdEntry } from './passwd-file.ts'
import type { NewAccount, NewAlias, NewDomain, NewTransport, Plan } from './plan.ts'
import { nextHopOf, relayOf, transportEntry, type Way } from './postfix-transports.ts'

/** Settings that change mail and have no counterpart that could be made from them. */
const NOT_CARRIED = [
  ...['content_filter', 'smtpd_milters', 'non_smtpd_milters', 'header_checks', 'body_checks', 'mime_header_checks'],
  ...['always_bcc', 'sender_bcc_maps', 'recipient_bcc_maps', 'canonical_maps', 'sender_canonical_maps'],
  ...['recipient_canonical_maps', 'smtp_generic_maps', 'smtpd_sender_login_maps', 'relocated_maps', 'relay_domains'],
  ...['smtpd_recipient_restrictions', 'smtpd_sender_restrictions', 'smtpd_client_restrictions', 'message_size_limit'],
]

export async function planOf(config: MainCf, users: readonly PasswdEntry[], tables: Tables): Promise<Plan> {
  const reading = new Reading(config, tables)
  await reading.domains()
  await reading.accounts(users)
  await reading.virtualAliases()
  await reading.localAliases()
  await reading.transports()
  for (const name of NOT_CARRIED.filter((name) => config.has(name))) {
    reading.remark(`${name} is set and does not come along: ${config.get(name)}`)
  }
  return reading.plan()
}

class Reading {
  readonly #config: MainCf
  readonly #tables: Tables
  readonly #domains = new Map<string, NewDomain>()
  readonly #accounts = new Map<string, NewAccount>()
  readonly #aliases = new Map<string, NewAlias>()
  readonly #transports: NewTransport[] = []
  #primary = ''

  constructor(config: MainCf, tables: Tables) {
    this.#config = config
    this.#tables = tables
  }

  remark(text: string): void {
    this.#tables.remarks.push(text)
  }

  plan(): Plan {
    return {
      domains: [...this.#domains.values()],
      accounts: [...this.#accounts.values()],
      aliases: [...this.#aliases.values()],
      transports: this.#transports,
      // Settings refer to the same table, which is read for each.
      remarks: [...new Set(this.#tables.remarks)],
    }
  }

  /** Domains in mydestination are one and the same for their users: the first is where they live, the others stand for it. */
  async domains(): Promise<void> {
    const own = (await this.#names('mydestination')).filter(
      (domain) => domain.includes('.') && !/^localhost\./.test(domain),
    )
    const origin = this.#config.get('myorigin').toLowerCase()
    this.#primary = own.includes(origin) ? origin : (own[0] ?? '')
    const separator = this.#config.get('recipient_delimiter').slice(0, 1)
    const common = { subaddressSeparator: separator === '' ? null : separator }
    const add = (domain: string): void => {
      if (domain.includes('.') && !this.#domains.has(domain))
        this.#domains.set(domain, { domain, kind: 'local', ...common })
    }
    if (this.#primary !== '') add(this.#primary)
    for (const domain of own.filter((domain) => domain !== this.#primary)) {
      this.#domains.set(domain, { domain, kind: 'alias', target: this.#primary, ...common })
    }
    for (const domain of await this.#names('virtual_mailbox_domains')) add(domain)
    for (const domain of await this.#names('virtual_alias_domains')) add(domain)
    if (this.#primary === '') this.#primary = [...this.#domains.keys()][0] ?? ''
  }

  async accounts(users: readonly PasswdEntry[]): Promise<void> {
    const base = this.#config.get('virtual_mailbox_base')
    const places = new Map<string, string | undefined>()
    for (const { key, value } of await this.#entries('virtual_mailbox_maps')) {
      if (key.startsWith('@'))
        this.remark(`virtual_mailbox_maps: ${key} takes mail for everybody; add those who are meant`)
      else if (key.includes('@')) {
        const place = base === '' ? value : `${base.replace(/\/$/, '')}/${value}`
        places.set(key.toLowerCase(), value.endsWith('/') ? place : undefined)
      }
    }
    for (const { user, home, maildir, ...entry } of users) {
      const address = this.#qualified(user)
      if (!this.#domains.has(domainOf(address))) {
        this.remark(`${address} is in no domain of this Postfix, and was left out`)
        continue
      }
      const place = maildir ?? places.get(address) ?? (home === undefined ? undefined : `${home}/Maildir`)
      this.#accounts.set(address, { address, ...entry, ...(place !== undefined && { maildir: place }) })
      places.delete(address)
    }
    for (const [address, place] of places) {
      this.#accounts.set(address, { address, ...(place !== undefined && { maildir: place }) })
      this.remark(`${address} has no password in the passwd-file: it takes mail, and cannot log in until it gets one`)
    }
  }

  /** virtual(5) */
  async virtualAliases(): Promise<void> {
    for (const { key, value } of await this.#entries('virtual_alias_maps')) {
      const members = valuesIn(value).map((member) => this.#qualified(member))
      if (!key.includes('@') && key.includes('.')) continue // a domain, declared
      if (key.startsWith('@')) this.#catchAll(key.slice(1).toLowerCase(), members)
      else this.#alias(this.#qualified(key), members, 'virtual_alias_maps')
    }
  }

  /** aliases(5) */
  async localAliases(): Promise<void> {
    const entries = await this.#entries('alias_maps')
    const owners = new Map(
      entries.flatMap(({ key, value }) => {
        const [owner] = valuesIn(value)
        return key.startsWith('owner-') && owner !== undefined ? [[key.slice(6), this.#qualified(owner)] as const] : []
      }),
    )
    for (const { key, value } of entries) {
      if (key.startsWith('owner-')) continue
      const members = await this.#members(key, value)
      if (members.length > 0) this.#alias(this.#qualified(key), members, 'alias_maps', owners.get(key))
    }
  }

  async transports(): Promise<void> {
    const relay = relayOf(this.#config)
    const relayhost = this.#config.get('relayhost')
    const credentials = await this.#entries('smtp_sasl_password_maps')
    if (relayhost !== '') this.#transport('relayhost', { domain: '*' }, nextHopOf(relayhost, relay, credentials))
    for (const { key, value } of await this.#entries('sender_dependent_relayhost_maps')) {
      if (/^dunno$/i.test(value)) continue
      const match = { domain: '*', sender: key.toLowerCase() }
      this.#transport(`sender ${key}`, match, nextHopOf(value, relay, credentials, key))
    }
    for (const { key, value } of await this.#entries('transport_maps')) {
      const domain = key.toLowerCase()
      // Mail to domains of ours ends in mailboxes, whatever brought it there.
      if (this.#domains.has(domain)) continue
      const way = key.includes('@') ? null : transportEntry(value, relay, credentials)
      if (way === null) this.remark(`transport_maps: ${key} ${value} has no counterpart`)
      else this.#transport(`transport ${key}`, { domain }, way)
    }
  }

  /** @param about what a name is made from: letters, digits and dots of it */
  #transport(about: string, match: TransportMatch, way: Way): void {
    const plain = about
      .toLowerCase()
      .replaceAll(/[^a-z0-9.]+\.?/g, '-')
      .replaceAll(/^[-.]+|[-.]+$/g, '')
      .slice(0, 58)
    const taken = this.#transports.filter(({ name }) => name === plain || name.startsWith(`${plain}-`)).length
    this.#transports.push({ name: taken === 0 ? plain : `${plain}-${taken + 1}`, match, ...way })
  }

  #alias(address: string, members: readonly string[], where: string, owner?: string): void {
    const others = members.filter((member) => member !== address)
    if (others.length === 0) return
    if (!this.#domains.has(domainOf(address))) {
      this.remark(`${where}: ${address} is in no domain of this Postfix, and was left out`)
    } else if (this.#accounts.has(address)) {
      this.remark(
        `${where}: ${address} is an account and forwards to ${others.join(', ')}: an address is one or the other here; give the account another name, or make a list of both`,
      )
    } else {
      this.#aliases.set(address, {
        ...{ address, kind: owner === undefined ? 'alias' : 'list', members: others },
        ...(owner !== undefined && { owner }),
      })
    }
  }

  #catchAll(domain: string, members: readonly string[]): void {
    const known = this.#domains.get(domain)
    const [member, ...more] = members
    if (known === undefined || member === undefined)
      return this.remark(`virtual_alias_maps: @${domain} has no counterpart`)
    if (more.length > 0) {
      return this.remark(
        `virtual_alias_maps: @${domain} goes to several; make a group of ${members.join(', ')} and let it catch all`,
      )
    }
    if (!member.startsWith('@')) known.catchAll = member
    else {
      const target = member.slice(1).toLowerCase()
      // Every address becomes the same one of another domain.
      this.#domains.set(domain, { ...known, kind: this.#domains.has(target) ? 'alias' : 'rewrite', target })
    }
  }

  /** Programs and files take no mail here; an included list is read. */
  async #members(name: string, value: string): Promise<string[]> {
    const members: string[] = []
    for (const member of valuesIn(value)) {
      const included = /^:include:(.+)$/.exec(member)?.[1]
      if (included !== undefined) {
        const lines = (await this.#tables.lines(included)) ?? []
        members.push(...lines.flatMap((line) => valuesIn(line)).map((one) => this.#qualified(one)))
      } else if (/^[|/]/.test(member)) this.remark(`alias_maps: ${name} goes to ${member}, which has no counterpart`)
      else members.push(this.#qualified(member))
    }
    return members
  }

  /** A list of domains, whose elements may be files and tables. */
  async #names(setting: string): Promise<string[]> {
    const names: string[] = []
    for (const element of this.#config.list(setting)) {
      if (element.startsWith('/'))
        names.push(...((await this.#tables.lines(element)) ?? []).flatMap((line) => valuesIn(line)))
      else if (element.includes(':')) {
        const keys = ((await this.#tables.entries(element)) ?? []).map(({ key }) => key)
        // virtual_alias_domains is virtual_alias_maps unless it is set: the keys without a user are the domains.
        names.push(...keys.filter((key) => !key.includes('@') && key.includes('.')))
      } else names.push(element)
    }
    return names.map((name) => name.toLowerCase())
  }

  async #entries(setting: string): Promise<Entry[]> {
    const all = []
    for (const reference of this.#config.list(setting)) all.push(...((await this.#tables.entries(reference)) ?? []))
    return all
  }

  #qualified(address: string): string {
    return (address.includes('@') ? address : `${address}@${this.#primary}`).toLowerCase()
  }
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1)
