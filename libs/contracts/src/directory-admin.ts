/** The operator's requests to the directory. Only the operator's own key may ask them. */
import { z } from 'zod'

import { defineRequest } from './define.ts'
import { AccountId, ForwardPath, Timestamp } from './envelope.ts'
import { MAX_MEMBERS, SessionToken, SigningAlgorithm } from './directory.ts'

/** As typed by an operator; the directory folds it to lower-case A-labels. */
const DomainName = z.string().min(1).max(255)

const operators = { answerer: 'directory', askers: ['operator', 'console'], timeoutMs: 10_000 } as const

/**
 * `local`: mailboxes live here. `alias`: the same people as in `target`, which is local. `rewrite`: every address
 * becomes the same local part at `target`, wherever that is.
 */
export const Domain = z.object({
  domain: z.string(),
  kind: z.enum(['local', 'alias', 'rewrite']),
  target: z.string().optional(),
  /** Between local part and detail; null: no subaddresses. */
  subaddressSeparator: z.string().length(1).nullable(),
  /** Takes mail for every unknown local part. */
  catchAll: ForwardPath.optional(),
  createdAt: Timestamp,
})
export type Domain = z.infer<typeof Domain>

export const Account = z.object({
  account: AccountId,
  address: ForwardPath,
  name: z.string().max(200),
  enabled: z.boolean(),
  quotaBytes: z.int().nonnegative().nullable(),
  /** Recipients and messages an account may send per hour; null: the platform's default. */
  recipientsPerHour: z.int().nonnegative().nullable(),
  messagesPerHour: z.int().nonnegative().nullable(),
  createdAt: Timestamp,
})
export type Account = z.infer<typeof Account>

/** An address that stands for others. `alias` keeps the sender's reverse-path; `group` and `list` send as `owner`; `discard` ends here. */
export const Alias = z.object({
  address: ForwardPath,
  kind: z.enum(['alias', 'group', 'list', 'discard']),
  members: z.array(ForwardPath).max(MAX_MEMBERS),
  owner: ForwardPath.optional(),
  createdAt: Timestamp,
})
export type Alias = z.infer<typeof Alias>

const Page = z.object({ after: z.string().optional(), limit: z.int().min(1).max(1000).default(200) })

export const addDomain = defineRequest({
  ...operators,
  name: 'directory.addDomain',
  purpose: 'Add a domain.',
  refusals: ['exists', 'invalid', 'noSuchDomain'],
  input: z.object({
    domain: DomainName,
    kind: Domain.shape.kind.default('local'),
    target: DomainName.optional(),
    subaddressSeparator: Domain.shape.subaddressSeparator.optional(),
    catchAll: ForwardPath.optional(),
  }),
  output: Domain,
})
export const changeDomain = defineRequest({
  ...operators,
  name: 'directory.changeDomain',
  purpose: 'Change settings of a domain; null takes one away.',
  refusals: ['invalid', 'noSuchDomain'],
  input: z.object({
    domain: DomainName,
    target: DomainName.optional(),
    subaddressSeparator: Domain.shape.subaddressSeparator.optional(),
    catchAll: ForwardPath.nullable().optional(),
  }),
  output: Domain,
})
export const removeDomain = defineRequest({
  ...operators,
  name: 'directory.removeDomain',
  purpose: 'Remove a domain nobody uses any more.',
  refusals: ['noSuchDomain', 'inUse'],
  input: z.object({ domain: DomainName }),
  output: Domain,
})
export const listDomains = defineRequest({
  ...operators,
  name: 'directory.listDomains',
  purpose: 'Domains by name.',
  input: z.object({ /** Only this one. */ domain: DomainName.optional(), ...Page.shape }),
  output: z.object({ domains: z.array(Domain), more: z.boolean() }),
})

const AccountSettings = z.object({
  name: z.string().max(200).optional(),
  password: z.string().min(1).max(1024).optional(),
  /** Of another system: in a crypt format, or one of Dovecot's `{SCHEME}` ones. Ours takes its place at the first login. */
  passwordHash: z.string().min(1).max(1024).optional(),
  enabled: z.boolean().optional(),
  quotaBytes: Account.shape.quotaBytes.optional(),
  recipientsPerHour: Account.shape.recipientsPerHour.optional(),
  messagesPerHour: Account.shape.messagesPerHour.optional(),
})

export const addAccount = defineRequest({
  ...operators,
  name: 'directory.addAccount',
  purpose: 'Add an account. Without a password it takes mail and cannot log in.',
  refusals: ['exists', 'invalid', 'noSuchDomain'],
  input: z.object({ address: ForwardPath, ...AccountSettings.shape }),
  output: Account,
})
export const changeAccount = defineRequest({
  ...operators,
  name: 'directory.changeAccount',
  purpose: 'Change settings or the password of an account.',
  refusals: ['invalid', 'noSuchAccount'],
  input: z.object({ address: ForwardPath, ...AccountSettings.shape }),
  output: Account,
})
export const removeAccount = defineRequest({
  ...operators,
  name: 'directory.removeAccount',
  purpose: 'Remove an account. Its mail stays in the mailstore until removed there.',
  refusals: ['noSuchAccount'],
  input: z.object({ address: ForwardPath }),
  output: Account,
})
export const listAccounts = defineRequest({
  ...operators,
  name: 'directory.listAccounts',
  purpose: 'Accounts by address.',
  input: z.object({
    domain: DomainName.optional(),
    /** Only this one. */
    address: ForwardPath.optional(),
    ...Page.shape,
  }),
  output: z.object({ accounts: z.array(Account), more: z.boolean() }),
})

export const openAccount = defineRequest({
  ...operators,
  name: 'directory.openAccount',
  purpose: "A session token for an account's mailboxes without its password, also for one that may not log in.",
  refusals: ['invalid', 'noSuchAccount'],
  input: z.object({ address: ForwardPath, /** Who asks, for the log. */ by: z.string().max(200) }),
  output: z.object({ account: AccountId, token: SessionToken, tokenExpiresInMs: z.int() }),
})

const AliasSettings = Alias.pick({ kind: true, members: true, owner: true })

export const addAlias = defineRequest({
  ...operators,
  name: 'directory.addAlias',
  purpose: 'Add an alias, group, list or discarding address.',
  refusals: ['exists', 'invalid', 'noSuchDomain'],
  input: z.object({ address: ForwardPath, ...AliasSettings.shape }),
  output: Alias,
})
export const changeAlias = defineRequest({
  ...operators,
  name: 'directory.changeAlias',
  purpose: 'Change kind, members or owner of an alias.',
  refusals: ['invalid', 'noSuchAlias'],
  input: z.object({ address: ForwardPath, ...AliasSettings.partial().shape }),
  output: Alias,
})
export const removeAlias = defineRequest({
  ...operators,
  name: 'directory.removeAlias',
  purpose: 'Remove an alias, group or list.',
  refusals: ['noSuchAlias'],
  input: z.object({ address: ForwardPath }),
  output: Alias,
})
export const listAliases = defineRequest({
  ...operators,
  name: 'directory.listAliases',
  purpose: 'Aliases by address.',
  input: z.object({
    domain: DomainName.optional(),
    kinds: z.array(Alias.shape.kind).min(1).optional(),
    /** Only this one. */
    address: ForwardPath.optional(),
    ...Page.shape,
  }),
  output: z.object({ aliases: z.array(Alias), more: z.boolean() }),
})

/**
 * A DKIM key as operators see it, without its private part. `prepared`: to be published, not signing. `active`: signing. `retired`: no
 * longer signing; its record must stay while mail signed with it is about.
 */
export const DkimKey = z.object({
  domain: z.string(),
  selector: z.string(),
  algorithm: SigningAlgorithm,
  bits: z.int(),
  state: z.enum(['prepared', 'active', 'retired']),
  /** Owner name and value of the TXT record — RFC 6376 §3.6.2. */
  recordName: z.string(),
  record: z.string(),
  createdAt: Timestamp,
  activatedAt: Timestamp.optional(),
  retiredAt: Timestamp.optional(),
})
export type DkimKey = z.infer<typeof DkimKey>

const Selector = z.string().min(1).max(63)
const oneKey = z.object({ domain: DomainName, selector: Selector })

export const addSigningKey = defineRequest({
  ...operators,
  name: 'directory.addSigningKey',
  purpose: 'Prepare DKIM keys for a domain of ours: made there, one of each algorithm named, or a given one.',
  refusals: ['exists', 'invalid', 'noSuchDomain'],
  input: z.object({
    domain: DomainName,
    algorithms: z.array(SigningAlgorithm).min(1).max(2).default(['rsa', 'ed25519']),
    /** Of one key. Default: year, month and the algorithm's first letter. */
    selector: Selector.optional(),
    /** PEM of a key made elsewhere, instead of `algorithms`. */
    privateKey: z.string().min(1).max(16_384).optional(),
  }),
  output: z.object({ keys: z.array(DkimKey).min(1) }),
})
export const listSigningKeys = defineRequest({
  ...operators,
  name: 'directory.listSigningKeys',
  purpose: 'DKIM keys by domain and selector, public parts only.',
  refusals: ['invalid'],
  input: z.object({
    /** Only of this one. */
    domain: DomainName.optional(),
    /** What the last key of the page before had. */
    after: oneKey.optional(),
    limit: Page.shape.limit,
  }),
  output: z.object({ keys: z.array(DkimKey), more: z.boolean() }),
})
export const activateSigningKey = defineRequest({
  ...operators,
  name: 'directory.activateSigningKey',
  purpose: 'Sign with this key from now on; the one of its algorithm that did so is retired.',
  refusals: ['invalid', 'noSuchDomain', 'noSuchKey'],
  input: oneKey,
  output: z.object({ key: DkimKey, retired: DkimKey.nullable() }),
})
export const retireSigningKey = defineRequest({
  ...operators,
  name: 'directory.retireSigningKey',
  purpose: 'Sign with this key no longer. Its record stays published until it is removed.',
  refusals: ['invalid', 'noSuchDomain', 'noSuchKey'],
  input: oneKey,
  output: DkimKey,
})
export const removeSigningKey = defineRequest({
  ...operators,
  name: 'directory.removeSigningKey',
  purpose: 'Forget a key that does not sign; one retired lately only if forced.',
  refusals: ['inUse', 'invalid', 'noSuchDomain', 'noSuchKey', 'tooSoon'],
  input: z.object({ ...oneKey.shape, force: z.boolean().default(false) }),
  output: DkimKey,
})
