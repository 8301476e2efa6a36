/** Search programs over the memory mailstore's messages. */
import type { SearchKey } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'
import { headerContains, searchText } from '@postbus/message'

import type { MemoryMessage } from './message.ts'

export async function matches(message: MemoryMessage, key: SearchKey): Promise<boolean> {
  switch (key.kind) {
    case 'all':
      return true
    case 'and':
      for (const part of key.keys) if (!(await matches(message, part))) return false
      return true
    case 'or':
      for (const part of key.keys) if (await matches(message, part)) return true
      return false
    case 'not':
      return !(await matches(message, key.key))
    case 'flag':
      return message.flags.some((flag) => flag.toLowerCase() === key.flag.toLowerCase())
    case 'uids':
      return NumberSet.parse(key.uids).has(message.uid)
    case 'header':
      return headerContains(message.bytes.subarray(0, message.root.header.end), key)
    case 'body':
    case 'text':
      return (await searchText([message.bytes], message.root, [{ in: key.kind, value: key.value }]))[0] ?? false
    case 'date': {
      const sent = new Date(message.root.envelope?.date ?? Number.NaN)
      const stored = key.of === 'saved' ? message.saveDate : message.internalDate
      const day = key.of === 'sent' ? dayOf(sent) : stored.slice(0, 10)
      return key.is === 'on' ? day === key.date : key.is === 'since' ? day >= key.date : day < key.date
    }
    case 'size':
      return key.is === 'larger' ? message.bytes.length > key.octets : message.bytes.length < key.octets
    case 'modseq':
      return message.modseq >= key.modseq
    case 'emailId':
      return message.emailId === key.id
    case 'within': {
      const age = Date.now() - Date.parse(message.internalDate)
      return key.is === 'younger' ? age <= key.seconds * 1000 : age >= key.seconds * 1000
    }
  }
}

/** Disregarding the zone — RFC 9051 §6.4.4 (SENTON); test messages write their dates in UTC. */
const dayOf = (date: Date): string => (Number.isNaN(date.getTime()) ? '1970-01-01' : date.toISOString().slice(0, 10))
