/**
 * The TXT record that holds a public key, where verifiers look for it.
 *
 * STANDARDS  RFC 6376 §3.1 (selectors), §3.6.1, §3.6.2.1; RFC 8463 §4; RFC 1035 §2.3.1
 */
import type { SigningAlgorithm } from './key-pair.ts'

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** With `._domainkey.` and a domain behind it, the name must still be one (253). */
const MAX_SELECTOR = 63

/** One or more labels in lower case. */
export const isSelector = (text: string): boolean =>
  text.length <= MAX_SELECTOR && text.split('.').every((label) => LABEL.test(label))

export const keyRecordName = (selector: string, domain: string): string => `${selector}._domainkey.${domain}`

/** The whole value; a zone file has it in strings of at most 255 octets. */
export const keyRecord = (algorithm: SigningAlgorithm, publicKey: string): string =>
  `v=DKIM1; k=${algorithm}; p=${publicKey}`

/** Whether a TXT record that was found holds the key of one of ours; others may have added tags and blanks. */
export function recordHoldsKey(found: string, record: string): boolean {
  const [ours, theirs] = [tagsOf(record), tagsOf(found)]
  return (
    (theirs.get('v') ?? 'DKIM1') === 'DKIM1' &&
    (theirs.get('k') ?? 'rsa') === ours.get('k') &&
    theirs.get('p') === ours.get('p')
  )
}

function tagsOf(record: string): Map<string, string> {
  return new Map(
    record.split(';').flatMap((tag) => {
      const equals = tag.indexOf('=')
      return equals < 0 ? [] : [[tag.slice(0, equals).trim(), tag.slice(equals + 1).replaceAll(/\s/g, '')]]
    }),
  )
}
