/** A certificate for one test, in files as a service reads them. */
import 'reflect-metadata' // @peculiar/x509 needs it before itself

import { webcrypto } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import * as x509 from '@peculiar/x509'

export interface TestCertificate {
  certFile: string
  keyFile: string
  /** PEM, for clients that verify. */
  ca: string
  /** Writes another pair into the same files. Resolves with the new PEM. */
  renew(): Promise<string>
}

const DAY_MS = 24 * 3600 * 1000
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface CertificateOptions {
  /** Default: localhost. */
  name?: string
  /** Its time is over. */
  expired?: boolean
}

/** Self-signed. */
export async function testCertificate(t: TestContext, options: CertificateOptions = {}): Promise<TestCertificate> {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-certificate-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const certFile = join(directory, 'cert.pem')
  const keyFile = join(directory, 'key.pem')
  const renew = async (): Promise<string> => {
    const { cert, key } = await issueCertificate(options)
    await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)])
    return cert
  }
  return { certFile, keyFile, ca: await renew(), renew }
}

/** PEM, self-signed, for a day. */
export async function issueCertificate({
  name = 'localhost',
  expired,
}: CertificateOptions): Promise<{ cert: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() + (expired ? -DAY_MS : DAY_MS)),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
    },
    webcrypto,
  )
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return { cert: certificate.toString('pem'), key }
}
