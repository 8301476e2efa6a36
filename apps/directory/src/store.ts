/**
 * What the directory keeps, and the port its decisions use. Adapters must pass adapters/storage/store.contract.ts.
 *
 * Domains are lower-case A-labels, local parts unquoted, NFC and lower case: whoever asks has folded them (addresses/names.ts).
 */
import type { Alias, DkimKey, Domain, Transport, TransportMatch } from '@postbus/contracts'

export interface Name {
  domain: string
  localPart: string
}

/** A domain of ours, with what decides about its local parts. */
export interface DomainRecord {
  domain: string
  kind: Domain['kind']
  target: string | null
  subaddressSeparator: string | null
  catchAll: string | null
  createdAt: string
}

export type NameRecord =
  | (Name & { kind: 'account'; account: string; enabled: boolean })
  | (Name & { kind: Alias['kind']; owner: string | null; members: string[] })

export interface AccountRecord extends Name {
  account: string
  name: string
  enabled: boolean
  quotaBytes: number | null
  recipientsPerHour: number | null
  messagesPerHour: number | null
  /** Raised when the password changes or the account is disabled: tokens and remembered logins of before are worth nothing. */
  credentialVersion: number
  createdAt: string
}

export interface AliasRecord extends Name {
  kind: Alias['kind']
  members: string[]
  owner: string | null
  createdAt: string
}

/** With its password as it is: the next hop wants it from us. */
export interface TransportRecord extends Transport {
  createdAt: string
}

/** What is kept of a password. */
export interface Credential {
  /** PHC string of ours, or the hash of another system until the first login. */
  passwordHash: string
  /** Null as long as the password itself was never seen. */
  scram: ScramCredential | null
}

/** RFC 5802 §3. */
export interface ScramCredential {
  salt: Uint8Array
  iterations: number
  storedKey: Uint8Array
  serverKey: Uint8Array
}

export interface DkimKeyName {
  domain: string
  selector: string
}

export interface DkimKeyRecord extends DkimKeyName, Pick<DkimKey, 'algorithm' | 'bits' | 'state'> {
  /** PKCS #8, PEM. */
  privateKey: string
  /** Base64, as `p=` holds it. */
  publicKey: string
  createdAt: string
  activatedAt: string | null
  retiredAt: string | null
}

/** What session tokens are signed with. */
export interface SigningKey {
  kid: string
  /** JSON Web Keys. */
  privateKey: string
  publicKey: string
  createdAt: string
}

export interface SendingLimits {
  messages: number
  recipients: number
}

export interface Spending {
  account: string
  recipients: number
  /** Where the account has none of its own. */
  defaults: SendingLimits
  /** Minutes since 1970. */
  minute: number
}

export type Spent =
  | { kind: 'granted' }
  /** Room comes when the minute `until` begins. `never`: the message alone is above the limit. */
  | { kind: 'refused'; limit: 'messages' | 'recipients'; untilMinute: number; never?: true }

export interface DirectoryReader {
  /** Grows with every change. */
  revision(): Promise<number>
  /** Those that are ours, in any order. */
  domains(names: readonly string[]): Promise<DomainRecord[]>
  /** Those that exist, in any order. */
  names(names: readonly Name[]): Promise<NameRecord[]>
  /** The first one added that holds mailboxes. */
  primaryDomain(): Promise<DomainRecord | undefined>
  /** The enabled account that was added first: of the domain if it has one, else of all. */
  oldestAccount(domain: string): Promise<Name | undefined>
  /** The primary one first, then by name. */
  domainNames(): Promise<string[]>

  account(account: string): Promise<AccountRecord | undefined>
  accountNamed(name: Name): Promise<AccountRecord | undefined>
  credential(account: string): Promise<Credential | undefined>
  alias(name: Name): Promise<AliasRecord | undefined>
  dkimKey(name: DkimKeyName): Promise<DkimKeyRecord | undefined>
  /** Of all these domains, by domain and algorithm. */
  activeDkimKeys(domains: readonly string[]): Promise<DkimKeyRecord[]>

  /** Pages: names after `after`, in order. */
  domainPage(after: string, limit: number): Promise<DomainRecord[]>
  accountPage(domain: string | null, after: Name, limit: number): Promise<AccountRecord[]>
  aliasPage(
    filter: { domain: string | null; kinds: readonly Alias['kind'][] | null },
    after: Name,
    limit: number,
  ): Promise<AliasRecord[]>
  dkimKeyPage(domain: string | null, after: DkimKeyName, limit: number): Promise<DkimKeyRecord[]>

  transport(name: string): Promise<TransportRecord | undefined>
  /** The name of the rule with exactly this match. */
  transportFor(match: TransportMatch): Promise<string | undefined>
  transportCount(): Promise<number>
  transportPage(after: string, limit: number): Promise<TransportRecord[]>
}

/** Inside one change; what it reads cannot be changed by others before it is committed. */
export interface DirectoryWriter extends DirectoryReader {
  insertDomain(domain: DomainRecord): Promise<void>
  updateDomain(domain: DomainRecord): Promise<void>
  deleteDomain(domain: string): Promise<void>
  /** Who or what still needs the domain: an address of it, a domain that points to it, a key that signs for it. */
  userOfDomain(domain: string): Promise<string | undefined>
  insertAccount(account: AccountRecord): Promise<void>
  updateAccount(account: AccountRecord): Promise<void>
  deleteAccount(account: string): Promise<void>
  putCredential(account: string, credential: Credential): Promise<void>
  insertAlias(alias: AliasRecord): Promise<void>
  updateAlias(alias: AliasRecord): Promise<void>
  deleteAlias(name: Name): Promise<void>
  insertDkimKey(key: DkimKeyRecord): Promise<void>
  /** Its state and times. */
  updateDkimKey(key: DkimKeyRecord): Promise<void>
  deleteDkimKey(name: DkimKeyName): Promise<void>
  insertTransport(transport: TransportRecord): Promise<void>
  updateTransport(transport: TransportRecord): Promise<void>
  deleteTransport(name: string): Promise<void>
}

export interface DirectoryStore extends DirectoryReader {
  /** All or nothing; durable when it resolves, and the revision has grown by one. */
  change<R>(work: (writer: DirectoryWriter) => Promise<R>): Promise<{ result: R; revision: number }>
  /** The same password under newer parameters: changes nothing anybody could see. Left alone if the hash is no longer `from`. */
  renewCredential(account: string, from: string, to: Credential): Promise<void>
  /** 32 random octets of this name, made at the first call and the same ever after, in every process. */
  secret(name: string): Promise<Uint8Array>
  /** Each in turn, against what is left after those before; exact over all processes. */
  spend(spendings: readonly Spending[]): Promise<Spent[]>
  /** Newest first. */
  signingKeys(): Promise<SigningKey[]>
  /** Adds a key unless one was added after `newerThan`, and forgets those older than `olderThan`. */
  rotateSigningKey(key: SigningKey, newerThan: string, olderThan: string): Promise<void>
  close(): Promise<void>
}

/** A slot of the sending counters is one minute; a limit is over this many. */
export const SENDING_WINDOW_MINUTES = 60
