/**
 * Addresses folded for comparing. Local parts of our own domains match without regard to case — RFC 5321 §2.4 leaves that
 * to the domain's owner, and users expect it — and in NFC; `"smith"@` is `smith@`.
 */
import { formatPath, normalizeDomain, parseAddress } from '@postbus/smtp'

import type { Name } from '../store.ts'

export interface ParsedName extends Name {
  /** As it was spelt, unquoted. */
  spelling: string
}

export const foldLocalPart = (localPart: string): string => localPart.normalize('NFC').toLowerCase().normalize('NFC')

/** Null where it is no address with a domain. */
export function parseName(address: string): ParsedName | null {
  const parsed = parseAddress(address)
  if (parsed === null || parsed.domain === null) return null
  const domain = normalizeDomain(parsed.domain)
  if (domain === null) return null
  return { domain, localPart: foldLocalPart(parsed.localPart), spelling: parsed.localPart }
}

export const formatName = ({ localPart, domain }: Name): string => formatPath({ localPart, domain })

export const nameKey = ({ localPart, domain }: Name): string => `${localPart}@${domain}`
