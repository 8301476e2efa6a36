/**
 * A zone from text: the part of RFC 1035 §5.1 that tests write.
 *
 *   $ORIGIN far.test.                ; names without a final dot are below it; at first the root
 *   $TTL 60                          ; seconds, for records without a TTL; at first 300
 *   @         SOA   ns root 1 3600 600 86400 30   ; the last number: how long "no" is good for
 *             MX    10 a                          ; an empty name is the one before
 *   a    5    A     192.0.2.1
 *   *.all     MX    10 a                          ; a wildcard, RFC 4592
 *   txt       TXT   "two " "strings"
 *   _25._tcp.a TLSA 3 1 1 0123abcd
 *
 * Types: A, AAAA, CNAME, MX, NS, PTR, SOA, TLSA, TXT. One text may hold several zones. Without parentheses, classes other than IN, or escapes.
 */
import { Buffer } from 'node:buffer'

import type { Answer } from 'dns-packet'

/** A record in the form dns-packet writes. The name is lower case, without a final dot. */
export type ZoneRecord = Exclude<Answer, { type: 'OPT' }>

export interface ZoneReply {
  rcode: 'NOERROR' | 'NXDOMAIN'
  answers: ZoneRecord[]
  authorities: ZoneRecord[]
}

const DEFAULT_TTL = 300
const MAX_ALIASES = 20

/** @throws a line that cannot be read */
export function parseZone(text: string): ZoneRecord[] {
  const records: ZoneRecord[] = []
  let origin = ''
  let defaultTtl = DEFAULT_TTL
  let owner = ''
  const absolute = (name: string): string => {
    if (name === '@') return origin
    if (name.endsWith('.')) return name.slice(0, -1).toLowerCase()
    return (origin === '' ? name : `${name}.${origin}`).toLowerCase()
  }
  for (const [index, line] of text.split('\n').entries()) {
    const words = wordsOf(line)
    const [first = '', second = ''] = words
    if (words.length === 0) continue
    if (first === '$ORIGIN') origin = absolute(second)
    else if (first === '$TTL') defaultTtl = Number(second)
    else {
      if (!/^\s/.test(line)) owner = absolute(words.shift() ?? '')
      const ttl = /^\d+$/.test(words[0] ?? '') ? Number(words.shift()) : defaultTtl
      if (words[0] === 'IN') words.shift()
      const [type = '', ...data] = words
      const record = recordOf(type.toUpperCase(), data, absolute)
      if (record === null) throw new Error(`line ${index + 1} of the zone: ${line.trim()}`)
      records.push({ name: owner, ttl, class: 'IN', ...record })
    }
  }
  return records
}

/** Quoted strings are one word each, without the quotes; a semicolon outside them begins a remark. */
function wordsOf(line: string): string[] {
  const words: string[] = []
  for (const [word, quoted] of line.matchAll(/"([^"]*)"|;.*$|[^\s";]+/g)) {
    if (word.startsWith(';')) break
    words.push(quoted ?? word)
  }
  return words
}

type WithoutOwner<T> = T extends unknown ? Omit<T, 'name' | 'ttl' | 'class'> : never

function recordOf(
  type: string,
  data: readonly string[],
  absolute: (name: string) => string,
): WithoutOwner<ZoneRecord> | null {
  const [one = '', two = '', three = '', four = ''] = data
  if (one === '') return null
  switch (type) {
    case 'A':
    case 'AAAA':
      return { type, data: one }
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return { type, data: absolute(one) }
    case 'MX':
      return two === '' ? null : { type, data: { preference: Number(one), exchange: absolute(two) || '.' } }
    case 'TXT':
      return { type, data: [...data] }
    case 'TLSA':
      return {
        type,
        data: {
          ...{ usage: Number(one), selector: Number(two), matchingType: Number(three) },
          certificate: Buffer.from(four, 'hex'),
        },
      }
    case 'SOA': {
      const [serial, refresh, retry, expire, minimum] = data.slice(2).map(Number)
      if (serial === undefined || refresh === undefined || retry === undefined) return null
      if (expire === undefined || minimum === undefined) return null
      const names = { mname: absolute(one), rname: absolute(two) }
      return { type, data: { ...names, serial, refresh, retry, expire, minimum } }
    }
    default:
      return null
  }
}

/** What a recursive server answers: aliases followed inside the zone, and a SOA with every "no" where the zone has one. */
export function lookUpIn(zone: readonly ZoneRecord[], type: string, name: string): ZoneReply {
  const answers: ZoneRecord[] = []
  let current = name.toLowerCase()
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const own = ownedBy(zone, current)
    if (own === null) return { rcode: 'NXDOMAIN', answers, authorities: soaOf(zone, current) }
    const found = own.filter((record) => record.type === type)
    if (found.length > 0) return { rcode: 'NOERROR', answers: [...answers, ...found], authorities: [] }
    const alias = own.find((record) => record.type === 'CNAME')
    if (alias?.type !== 'CNAME') return { rcode: 'NOERROR', answers, authorities: soaOf(zone, current) }
    // Around in a circle: the whole circle is in the answer, and no end.
    if (answers.some((record) => record.name === alias.name)) break
    answers.push(alias)
    current = alias.data.toLowerCase()
  }
  return { rcode: 'NOERROR', answers, authorities: [] }
}

/** Empty for a name that is only above others; null for one that does not exist. RFC 4592 for wildcards. */
function ownedBy(zone: readonly ZoneRecord[], name: string): ZoneRecord[] | null {
  const exists = (above: string): boolean =>
    above === '' || zone.some((record) => record.name === above || record.name.endsWith(`.${above}`))
  if (exists(name)) return zone.filter((record) => record.name === name)
  let closest = name
  do closest = closest.replace(/^[^.]*\.?/, '')
  while (!exists(closest))
  const wildcard = closest === '' ? '*' : `*.${closest}`
  const own = zone.filter((record) => record.name === wildcard)
  return own.length > 0 ? own.map((record) => ({ ...record, name })) : null
}

function soaOf(zone: readonly ZoneRecord[], name: string): ZoneRecord[] {
  const above = zone.filter(
    (record) =>
      record.type === 'SOA' && (record.name === '' || record.name === name || name.endsWith(`.${record.name}`)),
  )
  return above.sort((a, b) => b.name.length - a.name.length).slice(0, 1)
}
