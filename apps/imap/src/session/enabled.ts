/**
 * What a client has enabled, and so how it is spoken to for the rest of the session. Nothing is ever taken back.
 *
 * STANDARDS  RFC 5161; RFC 9051 §6.3.1; RFC 7162 §3.1, §3.2.3; RFC 9755 §3
 */

/** In the spelling of the answer. */
const EXTENSIONS = ['IMAP4rev2', 'CONDSTORE', 'QRESYNC', 'UTF8=ACCEPT'] as const
export type Extension = (typeof EXTENSIONS)[number]

export class Enabled {
  readonly #extensions = new Set<Extension>()

  has(extension: Extension): boolean {
    return this.#extensions.has(extension)
  }

  add(extension: Extension): void {
    this.#extensions.add(extension)
    // RFC 7162 §3.2.3
    if (extension === 'QRESYNC') this.#extensions.add('CONDSTORE')
  }

  /** Mailbox names travel as UTF-8 instead of modified UTF-7 — RFC 9051 §5.1, Appendix A; RFC 9755 §3. */
  get utf8(): boolean {
    return this.has('IMAP4rev2') || this.has('UTF8=ACCEPT')
  }

  /** \Recent, RECENT and UNSEEN are told — RFC 3501 §7.3; RFC 9051 Appendix E removed them. */
  get tellsRecent(): boolean {
    return !this.has('IMAP4rev2')
  }
}

/** The extension of this name, in any case; undefined when there is nothing to enable under it. */
export function extensionNamed(name: string): Extension | undefined {
  return EXTENSIONS.find((extension) => extension.toUpperCase() === name.toUpperCase())
}
