/**
 * A certificate authority of the data directory's own, and one server certificate from it, so that TLS works and can be
 * verified on a laptop without anybody's help. Renewed at a start within 30 days of its end; the authority stays.
 */
import 'reflect-metadata' // @peculiar/x509 needs it before itself

import { webcrypto } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'

import * as x509 from '@peculiar/x509'

import { writeDurably } from './durable-file.ts'

x509.cryptoProvider.set(webcrypto as Crypto)

const DAY_MS = 24 * 3600 * 1000
const AUTHORITY_DAYS = 3650
/** What clients accept at most for a server certificate. */
const SERVER_DAYS = 397
const RENEW_DAYS = 30
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface Certificates {
  ca: string
  cert: string
  key: string
}

export interface CertificateOptions {
  /** It is also shown to other servers, as their client. */
  client?: boolean
}

/** @param names host names and addresses the server certificate is for. Returns the paths of PEM files. */
export async function certificates(
  dir: string,
  names: readonly string[],
  { client = false }: CertificateOptions = {},
): Promise<Certificates> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const paths = { ca: join(dir, 'ca.pem'), cert: join(dir, 'server.pem'), key: join(dir, 'server-key.pem') }
  const authority = await loadAuthority(paths.ca, join(dir, 'ca-key.pem'))
  if (!(await stillGood(paths.cert, names))) await issue(authority, names, paths, client)
  return paths
}

interface Authority {
  certificate: x509.X509Certificate
  key: CryptoKey
}

async function loadAuthority(certPath: string, keyPath: string): Promise<Authority> {
  if (existsSync(certPath) && existsSync(keyPath)) {
    return {
      certificate: new x509.X509Certificate(await readFile(certPath, 'utf8')),
      key: await webcrypto.subtle.importKey(
        'pkcs8',
        x509.PemConverter.decodeFirst(await readFile(keyPath, 'utf8')),
        algorithm,
        false,
        ['sign'],
      ),
    }
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=Postbus local authority',
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + AUTHORITY_DAYS * DAY_MS),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await writeKey(keyPath, keys.privateKey)
  await writeDurably(certPath, `${certificate.toString('pem')}\n`)
  return { certificate, key: keys.privateKey }
}

async function stillGood(certPath: string, names: readonly string[]): Promise<boolean> {
  if (!existsSync(certPath)) return false
  const certificate = new x509.X509Certificate(await readFile(certPath, 'utf8'))
  const named = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) => value)
  const untilMs = certificate.notAfter.getTime() - Date.now()
  return untilMs > RENEW_DAYS * DAY_MS && names.every((name) => named?.includes(name))
}

async function issue(
  authority: Authority,
  names: readonly string[],
  paths: Certificates,
  client: boolean,
): Promise<void> {
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${names[0]}`,
    issuer: authority.certificate.subject,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + SERVER_DAYS * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(client ? [serverAuth, clientAuth] : [serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await writeKey(paths.key, keys.privateKey)
  await writeDurably(paths.cert, `${certificate.toString('pem')}\n`)
}

async function writeKey(path: string, key: CryptoKey): Promise<void> {
  const pem = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
  await writeDurably(path, `${pem}\n`)
}

/** 16 octets, positive — RFC 5280 §4.1.2.2. */
function serialNumber(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0)
  return bytes.toString('hex')
}
