/**
 * Which texts are IP addresses, and which of those lead nowhere, or to ourselves and our own networks: all that IANA's registries
 * of special addresses do not call globally reachable. An IPv4 address inside an IPv6 one counts as what it is.
 *
 * STANDARDS  RFC 6890 (the registries); RFC 4291 §2.5.5 and RFC 6052 §2.1 (IPv4 inside IPv6); RFC 7526 (6to4 has ended)
 */
import { BlockList, isIP } from 'node:net'

const special4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
] as const

/** Inside 2000::/3, which is all that is given out. */
const special6 = [
  // Teredo, benchmarking, ORCHID and other protocols' own.
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

/** A translator puts IPv4 addresses behind this — RFC 6052 §2.1. */
const TRANSLATED = '64:ff9b::'

const special = new BlockList()
const given = new BlockList()
given.addSubnet('2000::', 3, 'ipv6')
given.addSubnet('::ffff:0:0', 96, 'ipv6')
given.addSubnet(TRANSLATED, 96, 'ipv6')
for (const [network, prefix] of special4) {
  // Node's lists find an address that is mapped (::ffff:0:0/96) by this too.
  special.addSubnet(network, prefix, 'ipv4')
  special.addSubnet(TRANSLATED + network, 96 + prefix, 'ipv6')
}
for (const [network, prefix] of special6) special.addSubnet(network, prefix, 'ipv6')

/** One with a scope (`%eth0`) is good on one link only, and no next hop. */
export const isAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes('%')

export function isPrivate(address: string): boolean {
  if (isIP(address) === 4) return special.check(address, 'ipv4')
  return !given.check(address, 'ipv6') || special.check(address, 'ipv6')
}
