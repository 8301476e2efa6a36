/**
 * A certificate authority of the data directory's own, and one server certificate from it, so that TLS works and can be
 * verified on a laptop without anybody's help. Renewed at a start within 30 days of its end; the authority stays.
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { issue, newAuthority, stillGood, type KeyPair } from '../tls/authority.ts'
import { writeDurably } from './durable-file.ts'

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
  if (!existsSync(paths.cert) || !stillGood(await readFile(paths.cert, 'utf8'), names)) {
    const { certificate, key } = await issue(authority, names, client ? ['server', 'client'] : ['server'])
    await writeDurably(paths.key, key)
    await writeDurably(paths.cert, certificate)
  }
  return paths
}

async function loadAuthority(certPath: string, keyPath: string): Promise<KeyPair> {
  if (existsSync(certPath) && existsSync(keyPath)) {
    return { certificate: await readFile(certPath, 'utf8'), key: await readFile(keyPath, 'utf8') }
  }
  const authority = await newAuthority('Postbus local authority')
  await writeDurably(keyPath, authority.key)
  await writeDurably(certPath, authority.certificate)
  return authority
}
