/**
 * Domain names as this library compares and sends them: lower case, without the final dot, the root as the empty text.
 *
 * STANDARDS  RFC 1035 §2.3.4, §3.5; RFC 4343 (case); RFC 3596 §2.5 (ip6.arpa)
 */
import { isIPv4, isIPv6 } from 'node:net'

import { InvalidName } from './errors.ts'

/** Octets — RFC 1035 §2.3.4: 255 on the wire, where the first label's length and the root take two. */
const MAX_NAME = 253
const MAX_LABEL = 63

/** Any visible ASCII but the dot: an underscore is in many names, and what a server means by the others is its own business. */
const LABEL = /^[\x21-\x2d\x2f-\x7e]+$/

/** @throws InvalidName; a U-label is one: whoever asks converts it */
export function normalName(text: string): string {
  const name = text.endsWith('.') ? text.slice(0, -1) : text
  if (name === '') return ''
  const sound =
    name.length <= MAX_NAME && name.split('.').every((label) => label.length <= MAX_LABEL && LABEL.test(label))
  if (!sound) throw new InvalidName(`no domain name: ${JSON.stringify(text.slice(0, MAX_NAME))}`)
  return name.toLowerCase()
}

/** As received: whatever octets the labels hold. Good for comparing, and for asking only after `normalName`. */
export const receivedName = (text: string): string => (text === '.' ? '' : text.toLowerCase())

/** Where the names of an address are: `1.2.0.192.in-addr.arpa`. @throws InvalidName */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`
  const plain = address.replace(/%.*$/, '')
  if (!isIPv6(plain)) throw new InvalidName(`no address: ${JSON.stringify(address.slice(0, MAX_NAME))}`)
  const digits = groupsOf(plain).map((group) => group.padStart(4, '0'))
  return `${[...digits.join('')].reverse().join('.')}.ip6.arpa`
}

/** The eight groups of an IPv6 address, an embedded IPv4 address as two of them. */
function groupsOf(address: string): string[] {
  const hex = address.toLowerCase().replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const pair = (high: unknown, low: unknown): string => (Number(high) * 256 + Number(low)).toString(16)
    return `${pair(a, b)}:${pair(c, d)}`
  })
  const [head = '', tail] = hex.split('::')
  const groups = (text: string): string[] => text.split(':').filter(Boolean)
  if (tail === undefined) return groups(head)
  const [before, after] = [groups(head), groups(tail)]
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after]
}
