/**
 * A search program as the client wrote it → the tree the mailstore runs: sequence numbers become UIDs, \Recent (which only
 * this session knows) becomes UIDs too, octets become text.
 *
 * STANDARDS  RFC 9051 §6.4.4; RFC 8474 §5.3 (THREADID); RFC 3501 §6.4.4 ([BADCHARSET])
 */
import type { SearchKey } from '@postbus/contracts'
import type { NumberSet, Search, SearchProgram } from '@postbus/imap-wire'

import { bad, no, type ImapError } from '../reply.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'

/** What the mailstore's contract takes. */
const MAX_VALUE_LENGTH = 4096
/** What is asked at once has a mebibyte on the bus. */
const MAX_SETS_LENGTH = 768 * 1024

export function searchKey({ program, charset }: Search, selected: SelectedMailbox): SearchKey {
  return compile(program, { selected, decode: decoder(charset ?? 'UTF-8'), sets: 0 })
}

/** Whether a MODSEQ is named anywhere in it; then the answer names one, too — RFC 7162 §3.1.5. */
export function namesModseq(program: SearchProgram): boolean {
  switch (program.kind) {
    case 'modseq':
      return true
    case 'not':
      return namesModseq(program.key)
    case 'and':
    case 'or':
      return program.keys.some(namesModseq)
    default:
      return false
  }
}

/** The same among the messages the client knows: those that came since have higher UIDs. */
export function knownKey(search: Search, selected: SelectedMailbox): SearchKey {
  const { last } = selected.uids
  const known: SearchKey = { kind: 'uids', uids: last === undefined ? '' : `1:${last}` }
  return { kind: 'and', keys: [known, searchKey(search, selected)] }
}

type Decode = (value: Uint8Array) => string

interface Compiling {
  selected: SelectedMailbox
  decode: Decode
  /** Characters of all sets so far: `$` is one octet to write and may be a long set. */
  sets: number
}

function compile(program: SearchProgram, compiling: Compiling): SearchKey {
  const { selected, decode } = compiling
  const inner = (key: SearchProgram): SearchKey => compile(key, compiling)
  const among = (uids: NumberSet): SearchKey => {
    const key = { kind: 'uids' as const, uids: uids.toString() }
    compiling.sets += key.uids.length
    if (compiling.sets > MAX_SETS_LENGTH) throw no('LIMIT', 'Too many messages are named one by one')
    return key
  }
  switch (program.kind) {
    case 'all':
    case 'flag':
    case 'date':
    case 'size':
    case 'within':
    case 'modseq':
      return program
    case 'emailId':
      return { kind: 'emailId', id: program.id }
    case 'threadId':
      // No threads are kept, so no message is in one.
      return { kind: 'uids', uids: '' }
    case 'recent':
      return among(selected.recent)
    case 'and':
    case 'or':
      return { kind: program.kind, keys: program.keys.map(inner) }
    case 'not':
      return { kind: 'not', key: inner(program.key) }
    case 'numbers':
    case 'uids':
      return among(selected.match(program.set, program.kind === 'uids'))
    case 'header':
      return { ...program, value: decode(program.value) }
    case 'body':
    case 'text':
      return { kind: program.kind, value: decode(program.value) }
  }
}

function decoder(charset: string): Decode {
  const text = decoderOf(charset)
  return (value) => {
    try {
      const decoded = text.decode(value)
      if (decoded.length <= MAX_VALUE_LENGTH) return decoded
    } catch {
      throw bad(`A search string is not ${charset.toUpperCase()}`)
    }
    throw no('LIMIT', 'A search string is too long')
  }
}

function decoderOf(charset: string): TextDecoder {
  // Without a charset, or with this one, 8 bits are UTF-8 or nothing — RFC 9051 §6.4.4.
  const label = charset.toUpperCase() === 'US-ASCII' ? 'UTF-8' : charset
  try {
    return new TextDecoder(label, { fatal: true, ignoreBOM: true })
  } catch {
    throw badCharset()
  }
}

const badCharset = (): ImapError => no('BADCHARSET (UTF-8 US-ASCII ISO-8859-1)', 'This charset is not known here')
