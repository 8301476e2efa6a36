/** Which texts are IP addresses, and which of those lead nowhere or to ourselves and our own networks. RFC 6890. */
import { BlockList, isIP } from 'node:net'

const special = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  special.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  special.addSubnet(network, prefix, 'ipv6')

export const isAddress = (text: string): boolean => isIP(text) !== 0

/** IPv4 addresses inside IPv6 ones count as what they are. */
export const isPrivate = (address: string): boolean => special.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
