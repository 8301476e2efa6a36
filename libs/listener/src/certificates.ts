/**
 * A certificate and its key from two files, read again when they change, so that a renewed certificate needs no restart.
 *
 * A pair that cannot be used (half written, key and certificate of different renewals) is reported and the old one kept.
 */
import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'

import type { Logger } from 'pino'

export interface TlsFiles {
  certFile: string
  keyFile: string
  /** RFC 8996: nothing older than TLS 1.2. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** How often the files are looked at. Polled, because mounted secrets are replaced by swapping symbolic links. */
  pollMs?: number
}

export interface CertificatePair {
  cert: Buffer
  key: Buffer
  minVersion: 'TLSv1.2' | 'TLSv1.3'
}

const DEFAULT_POLL_MS = 10_000

export class Certificates {
  readonly #files: TlsFiles
  readonly #log: Logger
  readonly #listeners = new Set<(pair: CertificatePair) => void>()
  readonly #check = (): void => void this.#reload()
  #pair: CertificatePair
  #context: SecureContext

  private constructor(files: TlsFiles, log: Logger, pair: CertificatePair) {
    this.#files = files
    this.#log = log
    this.#pair = pair
    this.#context = createSecureContext(pair)
    const interval = files.pollMs ?? DEFAULT_POLL_MS
    for (const file of [files.certFile, files.keyFile]) watchFile(file, { interval, persistent: false }, this.#check)
  }

  /** @throws when the pair cannot be read or used: a service does not start with a certificate nobody can verify */
  static async load(files: TlsFiles, log: Logger): Promise<Certificates> {
    return new Certificates(files, log, await readPair(files))
  }

  get pair(): CertificatePair {
    return this.#pair
  }

  get context(): SecureContext {
    return this.#context
  }

  onChange(listener: (pair: CertificatePair) => void): void {
    this.#listeners.add(listener)
  }

  close(): void {
    for (const file of [this.#files.certFile, this.#files.keyFile]) unwatchFile(file, this.#check)
  }

  async #reload(): Promise<void> {
    const { certFile } = this.#files
    try {
      const pair = await readPair(this.#files)
      if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return
      this.#context = createSecureContext(pair)
      this.#pair = pair
      for (const listener of this.#listeners) listener(pair)
      this.#log.info({ certFile }, 'certificate read again')
    } catch (err) {
      this.#log.error({ err, certFile }, 'new certificate cannot be used; the old one stays')
    }
  }
}

async function readPair({ certFile, keyFile, minVersion = 'TLSv1.2' }: TlsFiles): Promise<CertificatePair> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  return { cert, key, minVersion }
}
