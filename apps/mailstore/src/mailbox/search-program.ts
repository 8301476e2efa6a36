/**
 * A search program against one message. What costs nothing is looked at first; text is decoded only when nothing cheaper
 * has decided.
 *
 * STANDARDS  RFC 9051 §6.4.4 (SEARCH); RFC 5032 (WITHIN); RFC 8474 (EMAILID); RFC 8514 (SAVEDATE); RFC 7162 §3.1.5 (MODSEQ)
 */
import type { SearchKey } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'
import type { HeaderKey } from '@postbus/message'

import { foldKeyword, systemFlagBit } from './flags.ts'
import { parseEmailId } from './object-id.ts'

export interface Candidate {
  uid: number
  modseq: number
  flags: number
  /** Folded. */
  keywords: ReadonlySet<string>
  internalDate: number
  saveDate: number
  size: number
  email: number
  sentDay: string | null
  header(key: HeaderKey): Promise<boolean>
  body(value: string): Promise<boolean>
  text(value: string): Promise<boolean>
}

export function depthOf(key: SearchKey): number {
  switch (key.kind) {
    case 'and':
    case 'or':
      return 1 + key.keys.reduce((deepest, part) => Math.max(deepest, depthOf(part)), 0)
    case 'not':
      return 1 + depthOf(key.key)
    default:
      return 1
  }
}

/** Whether any part of the program is of one of these kinds. */
export function mentions(key: SearchKey, ...kinds: SearchKey['kind'][]): boolean {
  if (kinds.includes(key.kind)) return true
  if (key.kind === 'not') return mentions(key.key, ...kinds)
  return (key.kind === 'and' || key.kind === 'or') && key.keys.some((part) => mentions(part, ...kinds))
}

type TextKey = Extract<SearchKey, { kind: 'header' | 'body' | 'text' }>

/** Whether a program cannot match because of the parts of it that are known to be false. */
export function isRuledOut(key: SearchKey, isFalse: (part: TextKey) => boolean): boolean {
  switch (key.kind) {
    case 'header':
    case 'body':
    case 'text':
      return isFalse(key)
    case 'and':
      return key.keys.some((part) => isRuledOut(part, isFalse))
    case 'or':
      return key.keys.every((part) => isRuledOut(part, isFalse))
    default:
      return false
  }
}

/** The UIDs a match can only be among; null: all. */
export function scopeOf(key: SearchKey): NumberSet | null {
  if (key.kind === 'uids') return NumberSet.parse(key.uids)
  if (key.kind !== 'and') return null
  return key.keys.reduce<NumberSet | null>((scope, part) => {
    const narrower = scopeOf(part)
    return scope === null || narrower === null ? (scope ?? narrower) : scope.intersect(narrower)
  }, null)
}

export type Matcher = (candidate: Candidate) => boolean | Promise<boolean>

/** @param now milliseconds; what `within` counts from */
export function matcher(key: SearchKey, now: number): Matcher {
  switch (key.kind) {
    case 'all':
      return () => true
    case 'and': {
      const parts = cheapestFirst(key.keys).map((part) => matcher(part, now))
      return async (candidate) => {
        for (const part of parts) if (!(await part(candidate))) return false
        return true
      }
    }
    case 'or': {
      const parts = cheapestFirst(key.keys).map((part) => matcher(part, now))
      return async (candidate) => {
        for (const part of parts) if (await part(candidate)) return true
        return false
      }
    }
    case 'not': {
      const part = matcher(key.key, now)
      return async (candidate) => !(await part(candidate))
    }
    case 'flag': {
      const bit = systemFlagBit(key.flag)
      const keyword = foldKeyword(key.flag)
      return ({ flags, keywords }) => (bit === undefined ? keywords.has(keyword) : (flags & bit) !== 0)
    }
    case 'uids': {
      const set = NumberSet.parse(key.uids)
      return ({ uid }) => set.has(uid)
    }
    case 'header':
      return (candidate) => candidate.header(key)
    case 'body':
      return (candidate) => candidate.body(key.value)
    case 'text':
      return (candidate) => candidate.text(key.value)
    case 'date':
      return (candidate) => compareDays(dayOf(candidate, key.of), key.is, key.date)
    case 'emailId': {
      const wanted = parseEmailId(key.id)
      return ({ email }) => email === wanted
    }
    case 'size':
      return ({ size }) => (key.is === 'larger' ? size > key.octets : size < key.octets)
    case 'modseq':
      return ({ modseq }) => modseq >= key.modseq
    case 'within': {
      const limit = now - key.seconds * 1000
      return ({ internalDate }) => (key.is === 'younger' ? internalDate >= limit : internalDate <= limit)
    }
  }
}

/** Calendar days are those of UTC: a stored date does not keep the zone it was given in. */
export const dayOfTime = (time: number): string => new Date(time).toISOString().slice(0, 10)

/** RFC 9051 says nothing about messages without a usable Date; to Dovecot they are of the first day there is. */
export const NO_SENT_DAY = '1970-01-01'

function dayOf({ internalDate, saveDate, sentDay }: Candidate, of: 'internal' | 'sent' | 'saved'): string {
  if (of === 'sent') return sentDay ?? NO_SENT_DAY
  return dayOfTime(of === 'internal' ? internalDate : saveDate)
}

function compareDays(day: string, is: 'before' | 'on' | 'since', date: string): boolean {
  switch (is) {
    case 'before':
      return day < date
    case 'on':
      return day === date
    case 'since':
      return day >= date
  }
}

function cheapestFirst(keys: readonly SearchKey[]): SearchKey[] {
  return keys.toSorted((a, b) => cost(a) - cost(b))
}

function cost(key: SearchKey): number {
  if (mentions(key, 'body', 'text')) return 2
  return mentions(key, 'header') ? 1 : 0
}
