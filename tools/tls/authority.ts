/**
 * Certificate authorities of our own, and certificates from them: TLS that can be verified without anybody's help. PEM in, PEM out;
 * where they are kept is for others to know.
 */
import 'reflect-metadata' // @peculiar/x509 needs it before itself

import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as Crypto)

const DAY_MS = 24 * 3600 * 1000
const AUTHORITY_DAYS = 3650
/** What clients accept at most for a server certificate. */
const SERVER_DAYS = 397
const RENEW_DAYS = 30
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A certificate and its private key (PKCS #8). */
export interface KeyPair {
  certificate: string
  key: string
}

export type Usage = 'server' | 'client'

const usages: Record<Usage, string> = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
}

export async function newAuthority(name: string): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    ...validFor(AUTHORITY_DAYS),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pemOf(certificate), key: await pemOfKey(keys.privateKey) }
}

/** @param names host names and addresses the certificate is for; the first is its subject */
export async function issue(
  authority: KeyPair,
  names: readonly string[],
  purposes: readonly Usage[] = ['server'],
): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.certificate)
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    algorithm,
    false,
    ['sign'],
  )
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${names[0]}`,
    issuer: issuer.subject,
    ...validFor(SERVER_DAYS),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(purposes.map((purpose) => usages[purpose])),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pemOf(certificate), key: await pemOfKey(keys.privateKey) }
}

/** Whether a certificate is for all these names, and for longer than until somebody looks again. */
export function stillGood(certificate: string, names: readonly string[]): boolean {
  const parsed = new x509.X509Certificate(certificate)
  const named = parsed.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) => value)
  const untilMs = parsed.notAfter.getTime() - Date.now()
  return untilMs > RENEW_DAYS * DAY_MS && names.every((name) => named?.includes(name))
}

const validFor = (days: number) => ({
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + days * DAY_MS),
})

const pemOf = (certificate: x509.X509Certificate): string => `${certificate.toString('pem')}\n`

const pemOfKey = async (key: webcrypto.CryptoKey): Promise<string> =>
  `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`

/** 16 octets, positive — RFC 5280 §4.1.2.2. */
function serialNumber(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0)
  return bytes.toString('hex')
}
