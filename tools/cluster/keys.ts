/**
 * What the parts of a cluster know each other by: an nkey for every party on the bus, the nats-servers' configuration with exactly
 * their rights, a password for every role of PostgreSQL, and, when asked, authorities and certificates.
 *
 * Safe to run at any time and any number of times: keys and passwords that exist stay; configuration follows the contracts of this
 * version; certificates are renewed within a month of their end.
 */
import { createUser, fromSeed } from '@nats-io/nkeys'
import { identities, serverConfig, type Identity } from '@postbus/contracts'
import { generatedPassword } from '@postbus/profile'

import { issue, newAuthority, stillGood, type KeyPair, type Usage } from '../tls/authority.ts'
import { roles } from './roles.ts'
import { ensure, follow, type SecretData, type Secrets } from './secrets.ts'
import type { KeysConfig } from './settings.ts'

export type KeysOptions = Pick<
  KeysConfig,
  'MAIL_HOSTNAME' | 'BUS_SERVERS' | 'BUS_MAX_BYTES' | 'BUS_STORE_DIR' | 'MAIL_OUT_SHARDS' | 'CLUSTER_CERTIFICATES'
>

const CLUSTER = 'postbus'
const CLIENT_PORT = 4222
const ROUTE_PORT = 6222
const MONITORING_PORT = 8222
const ANY = '0.0.0.0'

const serverName = (index: number): string => `nats-${index}`
/** As the StatefulSet and its headless Service name them; searched for in the pod's own namespace. */
const serverHost = (index: number): string => `${serverName(index)}.nats-headless`
const serversOf = <T>(count: number, of: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => of(index))

const KEY_OF_NKEY = 'nkey'
const secretOfNkey = (identity: Identity): string => `bus-key-${identity}`
const secretOfPassword = (role: string): string => `database-${role}`
/** Whose Secret, and the role's name in PostgreSQL. Where an operator runs PostgreSQL, it has an administrator of its own. */
const accounts: [secret: string, username: string][] = [
  ...roles.map((role): [string, string] => [role, role]),
  ['admin', 'postgres'],
]

/** Authorities and what each signs. Whoever has a certificate of `nats-route` may join the servers of the bus: it signs nothing else. */
const tls: { authority: string; secret: string; names(options: KeysOptions): string[]; usages?: Usage[] }[] = [
  { authority: 'bus-authority', secret: 'bus-tls', names: ({ BUS_SERVERS }) => serversOf(BUS_SERVERS, serverHost) },
  {
    authority: 'nats-route-authority',
    secret: 'nats-route-tls',
    names: ({ BUS_SERVERS }) => serversOf(BUS_SERVERS, serverHost),
    usages: ['server', 'client'],
  },
  { authority: 'postgres-authority', secret: 'postgres-tls', names: () => ['postgres'] },
  {
    authority: 'mail-authority',
    secret: 'mail-tls',
    names: ({ MAIL_HOSTNAME }) => [MAIL_HOSTNAME, 'inbound', 'submission', 'imap', 'pop3'],
  },
]
/** What clients of PostgreSQL verify it by, under the name CloudNativePG uses, too. */
const DATABASE_AUTHORITY = 'postgres-ca'

/** Names of all Secrets this makes, and the keys in each. */
export function secretsMade(options: Pick<KeysOptions, 'BUS_SERVERS' | 'CLUSTER_CERTIFICATES'>): Map<string, string[]> {
  const pair = ['tls.crt', 'tls.key']
  return new Map([
    ...identities.map((identity): [string, string[]] => [secretOfNkey(identity), [KEY_OF_NKEY]]),
    ...accounts.map(([name]): [string, string[]] => [secretOfPassword(name), ['username', 'password']]),
    ['nats-config', serversOf(options.BUS_SERVERS, (index) => `${serverName(index)}.conf`)],
    ...(options.CLUSTER_CERTIFICATES === 'make'
      ? [
          ...tls.flatMap(({ authority, secret }): [string, string[]][] => [
            [authority, pair],
            [secret, [...pair, 'ca.crt']],
          ]),
          [DATABASE_AUTHORITY, ['ca.crt']] as [string, string[]],
        ]
      : []),
  ])
}

export async function makeKeys(options: KeysOptions, secrets: Secrets, say: (line: string) => void): Promise<void> {
  const told = (name: string, made: boolean): void => say(`${name}: ${made ? 'made' : 'is there'}`)

  const users: Partial<Record<Identity, string>> = {}
  for (const identity of identities) {
    const name = secretOfNkey(identity)
    const { data, made } = await ensure(secrets, name, () => ({ [KEY_OF_NKEY]: newSeed() }))
    users[identity] = publicKeyOf(data[KEY_OF_NKEY] ?? '')
    told(name, made)
  }

  for (const [account, username] of accounts) {
    const name = secretOfPassword(account)
    const make = (): SecretData => ({ username, password: generatedPassword() })
    told(name, (await ensure(secrets, name, make, 'kubernetes.io/basic-auth')).made)
  }

  if (options.CLUSTER_CERTIFICATES === 'make') await makeCertificates(options, secrets, told)

  const changed = await follow(secrets, 'nats-config', natsConfig(options, users))
  say(`nats-config: ${changed ? 'written' : 'is as it should be'}`)
}

async function makeCertificates(
  options: KeysOptions,
  secrets: Secrets,
  told: (name: string, made: boolean) => void,
): Promise<void> {
  for (const { authority: authorityName, secret, names, usages } of tls) {
    const { data, made } = await ensure(
      secrets,
      authorityName,
      async () => secretOf(await newAuthority(`Postbus ${authorityName}`)),
      'kubernetes.io/tls',
    )
    told(authorityName, made)
    const authority = { certificate: data['tls.crt'] ?? '', key: data['tls.key'] ?? '' }
    const known = await secrets.get(secret)
    const isGood =
      known?.['tls.crt'] !== undefined &&
      known['ca.crt'] === authority.certificate &&
      stillGood(known['tls.crt'], names(options))
    if (!isGood) {
      const pair = await issue(authority, names(options), usages)
      await follow(secrets, secret, { ...secretOf(pair), 'ca.crt': authority.certificate }, 'kubernetes.io/tls')
    }
    told(secret, !isGood)
    if (authorityName === 'postgres-authority') {
      told(DATABASE_AUTHORITY, await follow(secrets, DATABASE_AUTHORITY, { 'ca.crt': authority.certificate }))
    }
  }
}

const secretOf = ({ certificate, key }: KeyPair): SecretData => ({ 'tls.crt': certificate, 'tls.key': key })

/** A file for each server, by its name. */
function natsConfig(options: KeysOptions, users: Partial<Record<Identity, string>>): SecretData {
  const {
    BUS_SERVERS: servers,
    BUS_MAX_BYTES: maxFileBytes,
    BUS_STORE_DIR: storeDir,
    MAIL_OUT_SHARDS: shards,
  } = options
  const routes = serversOf(servers, (index) => `tls://${serverHost(index)}:${ROUTE_PORT}`)
  const at = (dir: string) => ({ certFile: `${dir}/tls.crt`, keyFile: `${dir}/tls.key` })
  const clustered = (index: number) => ({
    tls: at('/etc/nats/tls'),
    cluster: {
      ...{ serverName: serverName(index), name: CLUSTER, host: ANY, port: ROUTE_PORT, routes },
      tls: { ...at('/etc/nats/route-tls'), caFile: '/etc/nats/route-tls/ca.crt' },
    },
    // Raft flushes many writes at once: the price of a replicated stream that survives a loss of power everywhere.
    syncAlways: true,
  })
  const configOf = (index: number): string =>
    serverConfig({
      ...{ host: ANY, port: CLIENT_PORT, storeDir, users, shards, maxFileBytes },
      ...(servers > 1 && clustered(index)),
      monitoring: { host: ANY, port: MONITORING_PORT },
      pidFile: '/run/nats/nats.pid',
    })
  return Object.fromEntries(serversOf(servers, (index) => [`${serverName(index)}.conf`, configOf(index)]))
}

const newSeed = (): string => Buffer.from(createUser().getSeed()).toString('latin1')

const publicKeyOf = (seed: string): string =>
  fromSeed(new Uint8Array(Buffer.from(seed.trim(), 'latin1'))).getPublicKey()
