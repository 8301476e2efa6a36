/**
 * A search program as the client wrote it → the tree the mailstore runs: sequence numbers become UIDs, \Recent (which only
 * this session knows) becomes UIDs too, octets become text.
 *
 * STANDARDS  RFC 9051 §6.4.4; RFC 3501 §6.4.4 ([BADCHARSET])
 */
import type { SearchKey } from '@postbus/contracts'
import type { Search, SearchProgram } from '@postbus/imap-wire'

import { bad, no, type ImapError } from '../reply.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'

/** What the mailstore's contract takes. */
const MAX_VALUE_LENGTH = 4096

export function searchKey({ program, charset }: Search, selected: SelectedMailbox): SearchKey {
  return compile(program, selected, decoder(charset ?? 'UTF-8'))
}

/** The same among the messages the client knows: those that came since have higher UIDs. */
export function knownKey(search: Search, selected: SelectedMailbox): SearchKey {
  const { last } = selected.uids
  const known: SearchKey = { kind: 'uids', uids: last === undefined ? '' : `1:${last}` }
  return { kind: 'and', keys: [known, searchKey(search, selected)] }
}

type Decode = (value: Uint8Array) => string

function compile(program: SearchProgram, selected: SelectedMailbox, decode: Decode): SearchKey {
  const inner = (key: SearchProgram): SearchKey => compile(key, selected, decode)
  switch (program.kind) {
    case 'all':
    case 'flag':
    case 'date':
    case 'size':
      return program
    case 'recent':
      return { kind: 'uids', uids: selected.recent.toString() }
    case 'and':
    case 'or':
      return { kind: program.kind, keys: program.keys.map(inner) }
    case 'not':
      return { kind: 'not', key: inner(program.key) }
    case 'numbers':
    case 'uids':
      return { kind: 'uids', uids: selected.resolve(program.set, program.kind === 'uids').toString() }
    case 'header':
      return { kind: 'header', field: program.field, value: decode(program.value) }
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
