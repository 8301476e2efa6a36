/**
 * The values of RET, ENVID, NOTIFY and ORCPT, checked and decoded. Null: a value its RFC does not allow.
 *
 * STANDARDS  RFC 3461 §4.1–4.4; RFC 6533 §3 (ORCPT of type utf-8)
 */
import { decodeUtf8Address, decodeXtext } from './xtext.ts'

export const notifyWords = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'] as const
export type NotifyWord = (typeof notifyWords)[number]

/** RFC 3461 §4.4: 100 characters of the unencoded value. */
const MAX_ENVID = 100
/** RFC 3461 §4.2: of the parameter as sent. */
const MAX_ORCPT = 500

export function parseRet(value: string): 'FULL' | 'HDRS' | null {
  const ret = value.toUpperCase()
  return ret === 'FULL' || ret === 'HDRS' ? ret : null
}

export function parseEnvid(value: string): string | null {
  const envid = decodeXtext(value)
  return envid !== null && envid.length > 0 && envid.length <= MAX_ENVID ? envid : null
}

/** NEVER stands alone — RFC 3461 §4.1. */
export function parseNotify(value: string): NotifyWord[] | null {
  const words = new Set<NotifyWord>()
  for (const word of value.toUpperCase().split(',')) {
    const known = notifyWords.find((candidate) => candidate === word)
    if (known === undefined) return null
    words.add(known)
  }
  return words.has('NEVER') && words.size > 1 ? null : [...words]
}

/** `addr-type;address`, the address decoded: what a report names as the original recipient. */
export function parseOrcpt(value: string): string | null {
  const [, type, encoded] = /^([A-Za-z0-9-]+);(.+)$/.exec(value) ?? []
  if (type === undefined || encoded === undefined || Buffer.byteLength(value) > MAX_ORCPT) return null
  const address = type.toLowerCase() === 'utf-8' ? decodeUtf8Orcpt(encoded) : decodeXtext(encoded)
  return address === null || address === '' ? null : `${type};${address}`
}

/** utf-8-addr-unitext comes as it is, utf-8-addr-xtext and -unitext with escapes — RFC 6533 §3. */
function decodeUtf8Orcpt(encoded: string): string | null {
  return decodeUtf8Address(decodeXtext(encoded) ?? encoded)
}
