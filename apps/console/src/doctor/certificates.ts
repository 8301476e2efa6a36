/** Certificates of our listeners: valid now and for a while, for our name, with their key, and signed by somebody others know. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'

import { error, type Finding, ok, warning } from './finding.ts'

export interface CertificateFiles {
  /** Path, to name it. */
  file: string
  certificate: string
  key: string
  /** The profile's own authority, if it has one. */
  authority: string | null
  /** Names clients use. */
  names: readonly string[]
}

const DAY_MS = 24 * 3600_000
/** Renewed at a start within 30 days of the end. */
const SOON_DAYS = 21
const VERY_SOON_DAYS = 3

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

export function judgeCertificate(files: CertificateFiles, now: number): Finding[] {
  const check = `certificate ${files.file}`
  let chain: X509Certificate[]
  let key: KeyObject
  try {
    chain = certificatesIn(files.certificate)
    key = createPrivateKey(files.key)
  } catch (cause) {
    return [
      error(check, cause instanceof Error ? cause.message : String(cause), 'put a PEM certificate and its key there'),
    ]
  }
  const [own] = chain
  if (own === undefined)
    return [error(check, 'holds no certificate', 'put the certificate there, and those that sign it behind it')]
  const findings: Finding[] = []
  if (!own.checkPrivateKey(key))
    findings.push(error(check, 'does not belong to its key', 'put both from the same request'))
  findings.push(...judgeDates(check, own, now))
  const unnamed = files.names.filter((name) => own.checkHost(name) === undefined)
  if (unnamed.length > 0) {
    findings.push(error(check, `is not for ${unnamed.join(', ')}`, 'have one issued for the names clients use'))
  }
  findings.push(...judgeChain(check, chain, files.authority))
  return findings.length > 0
    ? findings
    : [ok(check, `for ${files.names.join(', ') || own.subject}, until ${own.validTo}`)]
}

export const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(PEM) ?? []).map((text) => new X509Certificate(text))

function judgeDates(check: string, { validFromDate, validToDate }: X509Certificate, now: number): Finding[] {
  const left = (validToDate.getTime() - now) / DAY_MS
  const renew = 'renew it; services read the file again by themselves'
  if (validFromDate.getTime() > now)
    return [error(check, `is valid from ${validFromDate.toISOString()} on`, 'check the clock')]
  if (left <= 0) return [error(check, `ended ${validToDate.toISOString()}`, renew)]
  if (left <= VERY_SOON_DAYS) return [error(check, `ends in ${Math.floor(left)} days`, renew)]
  return left <= SOON_DAYS ? [warning(check, `ends in ${Math.floor(left)} days`, renew)] : []
}

function judgeChain(check: string, chain: readonly X509Certificate[], authority: string | null): Finding[] {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1]
    if (issuer !== undefined && !isFrom(certificate, issuer)) {
      return [
        error(
          check,
          'is followed by one that did not sign it',
          'put the chain in order: each before the one that signed it',
        ),
      ]
    }
  }
  const last = chain.at(-1)
  if (last === undefined || roots().some((root) => isFrom(last, root))) return []
  if (authority !== null && certificatesIn(authority).some((own) => isFrom(last, own))) {
    return [
      warning(
        check,
        'is signed by this platform’s own authority',
        'for others, have one issued by an authority that they know',
      ),
    ]
  }
  return [warning(check, 'leads to no authority this machine knows', 'put the intermediate certificates behind it')]
}

const isFrom = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

let known: X509Certificate[] | undefined
const roots = (): X509Certificate[] => (known ??= rootCertificates.map((pem) => new X509Certificate(pem)))
