/**
 * What a peer says of itself.
 *
 * STANDARDS  RFC 5321 §4.1.1.1 (the name on the first line of the reply to EHLO, a keyword with its parameters on each of the
 *            others), RFC 4954 §4 (AUTH)
 */
import type { Peer } from '../attempt/session.ts'

/** @param reply to EHLO, as it came @param secure whether it came encrypted */
export function peerOf(reply: string, secure: boolean): Peer & { mechanisms: ReadonlySet<string> } {
  const [greeting = '', ...lines] = reply.split(/\r?\n/)
  const offers = new Map<string, string>()
  for (const line of lines) {
    // Before RFC 4954 there was `AUTH=`.
    const [keyword = '', ...parameters] = line
      .slice('250-'.length)
      .replace(/^AUTH=/i, 'AUTH ')
      .trim()
      .split(/\s+/)
    const before = offers.get(keyword.toUpperCase())
    offers.set(keyword.toUpperCase(), [...(before === undefined ? [] : [before]), ...parameters].join(' '))
  }
  return {
    name: greeting.slice('250-'.length).trim().split(/\s+/)[0] ?? '',
    secure,
    offers: (extension) => offers.has(extension),
    maxSize: Number(offers.get('SIZE')) || 0,
    mechanisms: new Set(offers.get('AUTH')?.toUpperCase().split(' ')),
  }
}
