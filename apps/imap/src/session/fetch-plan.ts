/**
 * FETCH items → what the mailstore is asked for, and its rows → the FETCH response.
 *
 * STANDARDS  RFC 9051 §6.4.5, §7.5.2; RFC 3516 §4 (BINARY); RFC 7162 §3.1.4.2; RFC 8474 §5; RFC 8514 §4.2; RFC 8970 (PREVIEW)
 */
import type { fetchMessages, SectionBytes } from '@postbus/contracts'
import { encodeString, formatDateTime, type FetchItem } from '@postbus/imap-wire'
import type { z } from 'zod'

import { no, type ImapError } from '../reply.ts'

export type FetchRow = z.output<(typeof fetchMessages)['row']>
export type Want = z.input<(typeof fetchMessages)['input']>['want']

export interface FetchPlan {
  items: readonly FetchItem[]
  want: Want
  /** An item that sets \Seen is among them. */
  marksSeen: boolean
}

export function fetchPlan(asked: readonly FetchItem[], byUid: boolean): FetchPlan {
  const items = distinct(asked)
  const kinds = new Set(items.map(({ kind }) => kind))
  // Answers to UID FETCH name the UID, asked for or not — RFC 9051 §6.4.9.
  if (byUid && !kinds.has('uid')) items.unshift({ kind: 'uid' })
  const sections = items.filter((item) => item.kind === 'section')
  return {
    items,
    marksSeen: sections.some(({ peek }) => !peek),
    want: {
      flags: kinds.has('flags'),
      internalDate: kinds.has('internalDate'),
      size: kinds.has('size'),
      envelope: kinds.has('envelope'),
      structure: kinds.has('body') || kinds.has('bodyStructure'),
      saveDate: kinds.has('saveDate'),
      emailId: kinds.has('emailId'),
      preview: kinds.has('preview'),
      sections: sections.map(({ section }) => section),
    },
  }
}

/** Bytes of a section, still to be written. */
export type Content =
  | { kind: 'absent' }
  | { kind: 'inline'; bytes: Uint8Array }
  | { kind: 'blob'; lead: Uint8Array; blob: string; offset: number; length: number; decode?: Decode | undefined }
  | { kind: 'size'; octets: number }
  | { kind: 'unknownEncoding' | 'damagedEncoding' }

/** The blob's octets are freed from their encoding on the way; `count` of what comes out, from `first` on, are wanted. */
export interface Decode {
  encoding: 'base64' | 'quoted-printable'
  first: number
  count: number
}

/** One item of a response: text to write, one character per octet, then perhaps a literal. */
export interface Written {
  text: string
  content?: Extract<Content, { kind: 'inline' | 'blob' }>
  /** The content may hold any octets, NUL among them: a literal8 — RFC 3516 §4.2. */
  binary?: boolean
}

/** A section was asked for without its encoding, which nobody can undo: the FETCH cannot be OK — RFC 3516 §4.2. */
export function unreadable({ sections = [] }: FetchRow): ImapError | undefined {
  const kinds = new Set(sections.map(({ kind }) => kind))
  if (kinds.has('unknownEncoding')) return no('UNKNOWN-CTE', 'A part has an unknown Content-Transfer-Encoding')
  // RFC 9051 §7.1, as Dovecot.
  if (kinds.has('damagedEncoding')) return no('PARSE', 'A part is damaged: it is not in its Content-Transfer-Encoding')
  return undefined
}

const NO_OCTETS = new Uint8Array()

/** @param flags formats the row's flags as this session shows them */
export function* writeRow(
  { items }: FetchPlan,
  row: FetchRow,
  bytes: readonly Uint8Array[],
  flags: (flags: readonly string[]) => string,
): Generator<Written> {
  const contents = contentsOf(row.sections ?? [], bytes)
  let section = 0
  for (const item of items) {
    if (item.kind === 'section') {
      yield writeSection(item, contents[section++] ?? { kind: 'absent' })
    } else {
      yield { text: plainItem(item.kind, row, flags) }
    }
  }
  // \Seen was set by this very FETCH, and its client did not ask for flags — RFC 9051 §6.4.5 (BODY[…]).
  if (row.flags && !items.some(({ kind }) => kind === 'flags')) yield { text: `FLAGS ${flags(row.flags)}` }
}

type SectionItem = Extract<FetchItem, { kind: 'section' }>

function writeSection({ label, section }: SectionItem, content: Content): Written {
  if (section.binary === 'size') return { text: `${label} ${content.kind === 'size' ? content.octets : 0}` }
  // A section the message does not have is empty, as in Dovecot; the grammar would allow NIL.
  const octets =
    content.kind === 'inline' || content.kind === 'blob' ? content : ({ kind: 'inline', bytes: NO_OCTETS } as const)
  return { text: `${label} `, content: octets, binary: section.binary !== undefined }
}

function plainItem(
  kind: Exclude<FetchItem['kind'], 'section'>,
  row: FetchRow,
  flags: (flags: readonly string[]) => string,
): string {
  switch (kind) {
    case 'uid':
      return `UID ${row.uid}`
    case 'flags':
      return `FLAGS ${flags(asked(row.flags))}`
    case 'internalDate':
      return `INTERNALDATE ${formatDateTime(asked(row.internalDate))}`
    case 'size':
      return `RFC822.SIZE ${asked(row.size)}`
    case 'envelope':
      return `ENVELOPE ${asked(row.envelope)}`
    case 'body':
      return `BODY ${asked(row.structure).basic}`
    case 'preview':
      return `PREVIEW ${Buffer.from(encodeString(asked(row.preview))).toString('latin1')}`
    case 'bodyStructure':
      return `BODYSTRUCTURE ${asked(row.structure).extended}`
    case 'modseq':
      return `MODSEQ (${row.modseq})`
    case 'saveDate':
      return `SAVEDATE ${formatDateTime(asked(row.saveDate))}`
    case 'emailId':
      return `EMAILID (${asked(row.emailId)})`
    case 'threadId':
      // RFC 8474 §5.2: no threads are kept.
      return 'THREADID NIL'
  }
}

function asked<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('a row lacks what was asked for')
  return value
}

/** The row's byte strings belong to its sections in order — contracts, SectionBytes. */
function contentsOf(sections: readonly SectionBytes[], bytes: readonly Uint8Array[]): Content[] {
  let next = 0
  const take = (): Uint8Array => bytes[next++] ?? new Uint8Array()
  return sections.map((section) => {
    if (section.kind === 'inline') return { kind: 'inline', bytes: take() }
    if (section.kind !== 'blob') return section
    const { lead, ...rest } = section
    return { ...rest, lead: lead ? take() : NO_OCTETS }
  })
}

/** An item asked for twice is answered once. */
function distinct(items: readonly FetchItem[]): FetchItem[] {
  const byName = new Map(items.map((item) => [item.kind === 'section' ? sectionKey(item) : item.kind, item]))
  return [...byName.values()]
}

function sectionKey({ label, section }: Extract<FetchItem, { kind: 'section' }>): string {
  return `${label} ${section.partial?.[1] ?? ''}`
}
