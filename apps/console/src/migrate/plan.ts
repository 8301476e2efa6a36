/** What a move brings into the directory, and what it cannot bring. */
import type { Alias, TransportAction, TransportMatch, TransportPolicy } from '@postbus/contracts'

export interface NewDomain {
  domain: string
  kind: 'local' | 'alias' | 'rewrite'
  target?: string
  subaddressSeparator: string | null
  catchAll?: string
}

export interface NewAccount {
  address: string
  name?: string
  passwordHash?: string
  password?: string
  quotaBytes?: number
  /** Where its mail lies; absent: not known. */
  maildir?: string
}

export interface NewAlias {
  address: string
  kind: Alias['kind']
  members: string[]
  owner?: string
}

export interface NewTransport {
  name: string
  match: TransportMatch
  action: TransportAction
  policy: TransportPolicy
}

export interface Plan {
  domains: NewDomain[]
  accounts: NewAccount[]
  aliases: NewAlias[]
  transports: NewTransport[]
  /** What was there and does not come along, each with what to do. */
  remarks: string[]
}
