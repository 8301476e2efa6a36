/**
 * What services ask the directory: who an address is, who is logging in, what an account may send.
 *
 * STANDARDS  RFC 5321 §3.9 (aliases and lists), §4.1.1.1; RFC 5233 (subaddress); RFC 6409 §6.1 (sender rights); RFC 6376
 *            (signing keys)
 */
import { z } from 'zod'

import { defineRequest } from './define.ts'
import { AccountId, ForwardPath, ReversePath } from './envelope.ts'

/** A signed, short-lived statement of the directory that its bearer may act for one account. Only mailstore and directory look inside. */
export const SessionToken = z.string().max(2000)

/** One step from an address towards its mailbox. `alias`, `list` and `rewrite` are resolved again by the router. */
export const Resolution = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('account'),
    account: AccountId,
    /** The account's own address; what `Delivered-To` names. */
    address: ForwardPath,
    detail: z.string().max(256).optional(),
  }),
  /** Keeps the sender's reverse-path — RFC 5321 §3.9.1. */
  z.object({ kind: z.literal('alias'), name: ForwardPath, members: z.array(ForwardPath) }),
  /** A list or group: mail to its members comes from `reversePath` — RFC 5321 §3.9.2. */
  z.object({ kind: z.literal('list'), name: ForwardPath, members: z.array(ForwardPath), reversePath: ReversePath }),
  /** The address is another one now (a merged company's domain). */
  z.object({ kind: z.literal('rewrite'), rule: z.string().max(200), forwardPath: ForwardPath }),
  z.object({ kind: z.literal('discard'), rule: z.string().max(200) }),
  /** Of a domain that is not ours. `domain`: lower case, A-labels; or an address literal. */
  z.object({ kind: z.literal('remote'), domain: z.string().max(255) }),
  /** Our domain, and nobody of that name. */
  z.object({ kind: z.literal('unknown') }),
  /** Somebody of that name who does not take mail now. */
  z.object({ kind: z.literal('disabled') }),
])
export type Resolution = z.infer<typeof Resolution>

/** More members than this are refused when an alias or list is written. */
export const MAX_MEMBERS = 1000

export const resolveAddresses = defineRequest({
  name: 'directory.resolve',
  answerer: 'directory',
  askers: ['inbound', 'submission', 'router'],
  purpose: 'One step of resolution for each address, in the order asked.',
  timeoutMs: 2000,
  input: z.object({ addresses: z.array(ForwardPath).min(1).max(100) }),
  output: z.object({ resolutions: z.array(Resolution), revision: z.int() }),
})

const accepted = z.object({
  kind: z.literal('accepted'),
  account: AccountId,
  address: ForwardPath,
  token: SessionToken,
  tokenExpiresInMs: z.int(),
})
/** The front end answers after `delayMs`, in the same words whether or not the account exists. */
const refused = z.object({
  kind: z.literal('refused'),
  delayMs: z.int().nonnegative(),
  /** Nothing is wrong with the token but that its time is over: the client may be told. */
  expired: z.literal(true).optional(),
})
/** Too many failures, or too many logins at once: not even looked at. RFC 4954 §4.7.0, RFC 5530 UNAVAILABLE. */
const throttled = z.object({ kind: z.literal('throttled'), retryAfterMs: z.int().nonnegative() })

const client = {
  /** Where the client connects from; failures are counted against it. */
  clientAddress: z.string().max(64),
  service: z.enum(['submission', 'imap', 'pop3']),
}

export const authenticate = defineRequest({
  name: 'directory.authenticate',
  answerer: 'directory',
  askers: ['submission', 'imap', 'pop3'],
  purpose: 'Check a password. Failures slow down the account and the client address, for all front ends together.',
  timeoutMs: 10_000,
  input: z.object({
    username: z.string().min(1).max(320),
    password: z.string().max(1024),
    ...client,
  }),
  output: z.discriminatedUnion('kind', [accepted, refused, throttled]),
})

const ScramMessage = z.string().min(1).max(4096)

export const scramStart = defineRequest({
  name: 'directory.scramStart',
  answerer: 'directory',
  askers: ['submission', 'imap', 'pop3'],
  purpose:
    'Begin a SCRAM-SHA-256 exchange (RFC 5802): nonce, salt and iterations, made up where there is no such account. Nothing is counted yet.',
  timeoutMs: 5000,
  input: z.object({ username: z.string().min(1).max(320), clientNonce: z.string().min(1).max(256) }),
  output: z.object({
    serverFirst: ScramMessage,
    /** The directory's own memory of it, signed, good for two minutes; any process of it can go on. */
    challenge: z.string().max(8192),
  }),
})

export const scramFinish = defineRequest({
  name: 'directory.scramFinish',
  answerer: 'directory',
  askers: ['submission', 'imap', 'pop3'],
  purpose:
    'Check the proof that ends a SCRAM exchange; failures count as wrong passwords. The front end has checked nonce and channel binding.',
  timeoutMs: 10_000,
  input: z.object({
    challenge: z.string().max(8192),
    clientFirstBare: ScramMessage,
    clientFinalWithoutProof: ScramMessage,
    /** Base64. */
    proof: z.string().max(64),
    ...client,
  }),
  output: z.discriminatedUnion('kind', [
    /** The signature, base64, shows the client that the directory knows it, too. */
    accepted.extend({ serverSignature: z.string().max(64) }),
    refused,
    throttled,
  ]),
})

export const authenticateBearer = defineRequest({
  name: 'directory.authenticateBearer',
  answerer: 'directory',
  askers: ['submission', 'imap', 'pop3'],
  purpose: 'Check an access token of the configured issuer (RFC 6750, RFC 7519). Failures count as wrong passwords.',
  timeoutMs: 10_000,
  input: z.object({
    /** '': whoever the token names. */
    username: z.string().max(320),
    token: z.string().min(1).max(16_384),
    ...client,
  }),
  output: z.discriminatedUnion('kind', [accepted, refused, throttled]),
})

export const renewToken = defineRequest({
  name: 'directory.renewToken',
  answerer: 'directory',
  askers: ['imap', 'pop3'],
  refusals: ['tokenInvalid'],
  purpose: 'A fresh token for a session that lasts; refused once the account is disabled or its password changed.',
  input: z.object({ token: SessionToken }),
  output: z.object({ token: SessionToken, tokenExpiresInMs: z.int() }),
})

export const tokenKeys = defineRequest({
  name: 'directory.tokenKeys',
  answerer: 'directory',
  askers: ['mailstore'],
  purpose: 'The public keys session tokens are signed with, as JSON Web Keys.',
  input: z.object({}),
  output: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
})

export const checkSender = defineRequest({
  name: 'directory.checkSender',
  answerer: 'directory',
  askers: ['submission'],
  purpose: 'Which of these addresses the account may not send as.',
  timeoutMs: 2000,
  input: z.object({ account: AccountId, addresses: z.array(ForwardPath).min(1).max(100) }),
  output: z.object({ denied: z.array(ForwardPath) }),
})

export const spendSending = defineRequest({
  name: 'directory.spendSending',
  answerer: 'directory',
  askers: ['submission'],
  purpose: "Count recipients against the account's sending limits; `refused` counts nothing.",
  timeoutMs: 2000,
  input: z.object({ account: AccountId, recipients: z.int().min(1) }),
  output: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('granted') }),
    z.object({
      kind: z.literal('refused'),
      limit: z.enum(['messages', 'recipients']),
      retryAfterMs: z.int(),
      /** The message alone is above the limit: waiting does not help. */
      never: z.literal(true).optional(),
    }),
  ]),
})

export const describeAccount = defineRequest({
  name: 'directory.describeAccount',
  answerer: 'directory',
  askers: ['mailstore', 'custody'],
  refusals: ['noSuchAccount'],
  purpose: 'What mailstore must know to store for an account.',
  timeoutMs: 2000,
  input: z.object({ account: AccountId }),
  output: z.object({
    account: AccountId,
    address: ForwardPath,
    /** Null: no limit. */
    quotaBytes: z.int().nonnegative().nullable(),
    enabled: z.boolean(),
  }),
})

export const SigningAlgorithm = z.enum(['rsa', 'ed25519'])

/** A domain in lower-case A-labels. */
const Domain = z.string().min(1).max(255)

/** What delivery signs with. At most one key of each algorithm signs for a domain. */
export const SigningKey = z.object({
  domain: Domain,
  selector: z.string().max(63),
  algorithm: SigningAlgorithm,
  /** PKCS #8, PEM. */
  privateKey: z.string().max(8192),
})
export type SigningKey = z.infer<typeof SigningKey>

export const signingKeys = defineRequest({
  name: 'directory.signingKeys',
  answerer: 'directory',
  askers: ['delivery'],
  purpose:
    'The active DKIM keys of these domains, private parts included. Domains without any, or not ours, have none.',
  timeoutMs: 2000,
  input: z.object({ domains: z.array(Domain).min(1).max(100) }),
  output: z.object({ keys: z.array(SigningKey) }),
})

export const localDomains = defineRequest({
  name: 'directory.localDomains',
  answerer: 'directory',
  askers: ['inbound', 'submission', 'delivery', 'custody'],
  purpose: 'The domains that are ours, primary one first.',
  timeoutMs: 2000,
  input: z.object({}),
  output: z.object({ domains: z.array(z.string()) }),
})
