/**
 * FETCH items → what the mailstore is asked for, and its messages → FETCH responses.
 *
 * STANDARDS  RFC 9051 §6.4.5, §7.5.2; RFC 3516 §4 (BINARY); RFC 7162 §3.1.4.2; RFC 8474 §5; RFC 8514 §4.2; RFC 8970 (PREVIEW)
 */
import type { FetchedMessage, FetchedSection, fetchMessages } from '@postbus/contracts'
import { encodeString, formatDateTime, type FetchItem } from '@postbus/imap-wire'
import type { z } from 'zod'

import { no, type ImapError } from '../reply.ts'
import { textLiteral } from './write-fetch.ts'

export type Want = z.input<(typeof fetchMessages)['input']>['want']

export interface FetchPlan {
  items: readonly FetchItem[]
  want: Want
  /** Whether a response is nothing but text where its sections are. */
  isText: boolean
  /** An item that sets \Seen is among them. */
  marksSeen: boolean
  /** A section without its encoding is among them. */
  decodes: boolean
}

/** Formats a message's flags as this session shows them. */
export type FlagsText = (uid: number, flags: readonly string[]) => string

export function fetchPlan(asked: readonly FetchItem[], byUid: boolean): FetchPlan {
  const items = distinct(asked)
  const kinds = new Set(items.map(({ kind }) => kind))
  // Answers to UID FETCH name the UID, asked for or not — RFC 9051 §6.4.9.
  if (byUid && !kinds.has('uid')) items.unshift({ kind: 'uid' })
  const sections = items.filter((item) => item.kind === 'section')
  const marksSeen = sections.some(({ peek }) => !peek)
  const decodes = sections.some(({ section }) => section.binary !== undefined)
  return {
    items,
    isText: !marksSeen && !decodes,
    marksSeen,
    decodes,
    want: {
      flags: kinds.has('flags'),
      internalDate: kinds.has('internalDate'),
      size: kinds.has('size'),
      envelope: kinds.has('envelope'),
      structure: kinds.has('bodyStructure'),
      basicStructure: kinds.has('body'),
      saveDate: kinds.has('saveDate'),
      emailId: kinds.has('emailId'),
      preview: kinds.has('preview'),
      sections: sections.map(({ section }) => section),
    },
  }
}

/** Whether it is about sections and nothing that ever changes. */
export function isLasting({ items, want }: FetchPlan): boolean {
  return (
    want.sections !== undefined &&
    want.sections.length > 0 &&
    !want.flags &&
    !items.some(({ kind }) => kind === 'modseq')
  )
}

/** Bytes of a section, still to be written. */
export type Content = Extract<FetchedSection, { kind: 'inline' | 'blob' }>

/** A piece of a response: text to write, one character per octet, then perhaps a literal. */
export interface Written {
  text: string
  content?: Content
  /** The content may hold any octets, NUL among them: a literal8 — RFC 3516 §4.2. */
  binary?: boolean
}

/** A section was asked for without its encoding, which nobody can undo: the FETCH cannot be OK — RFC 3516 §4.2. */
export function unreadable({ decodes }: FetchPlan, { sections }: FetchedMessage): ImapError | undefined {
  if (!decodes || sections === undefined) return undefined
  const has = (kind: FetchedSection['kind']): boolean => sections.some((section) => section.kind === kind)
  if (has('unknownEncoding')) return no('UNKNOWN-CTE', 'A part has an unknown Content-Transfer-Encoding')
  // RFC 9051 §7.1, as Dovecot.
  if (has('damagedEncoding')) return no('PARSE', 'A part is damaged: it is not in its Content-Transfer-Encoding')
  return undefined
}

const NO_OCTETS = { kind: 'inline', octets: new Uint8Array() } as const

/** What stands in the brackets of one response that is nothing but text: thousands of them follow each other. */
export function writeText({ items }: FetchPlan, message: FetchedMessage, flags: FlagsText): string {
  let text = ''
  let section = 0
  for (const item of items) {
    const written =
      item.kind === 'section'
        ? `${item.label} ${textLiteral(message.texts?.[section++] ?? '')}`
        : plainItem(item.kind, message, flags)
    text = text === '' ? written : `${text} ${written}`
  }
  return text
}

/** What stands in the brackets of one response. */
export function writeMessage({ items, marksSeen }: FetchPlan, message: FetchedMessage, flags: FlagsText): Written[] {
  const written: Written[] = []
  let text = ''
  let section = 0
  let tellsFlags = false
  for (const item of items) {
    if (text !== '' || written.length > 0) text += ' '
    if (item.kind !== 'section') {
      tellsFlags ||= item.kind === 'flags'
      text += plainItem(item.kind, message, flags)
      continue
    }
    const found = message.sections?.[section++] ?? { kind: 'absent' }
    if (item.section.binary === 'size') {
      text += `${item.label} ${found.kind === 'size' ? found.octets : 0}`
      continue
    }
    // A section the message does not have is empty, as in Dovecot; the grammar would allow NIL.
    const content = found.kind === 'inline' || found.kind === 'blob' ? found : NO_OCTETS
    written.push({ text: `${text}${item.label} `, content, binary: item.section.binary !== undefined })
    text = ''
  }
  // \Seen was set by this very FETCH, and its client did not ask for flags — RFC 9051 §6.4.5 (BODY[…]).
  if (marksSeen && message.flags && !tellsFlags) text += ` FLAGS ${flags(message.uid, message.flags)}`
  if (text !== '') written.push({ text })
  return written
}

function plainItem(kind: Exclude<FetchItem['kind'], 'section'>, message: FetchedMessage, flags: FlagsText): string {
  switch (kind) {
    case 'uid':
      return `UID ${message.uid}`
    case 'flags':
      return `FLAGS ${flags(message.uid, asked(message.flags))}`
    case 'internalDate':
      return `INTERNALDATE ${formatDateTime(asked(message.internalDate))}`
    case 'size':
      return `RFC822.SIZE ${asked(message.size)}`
    case 'envelope':
      return `ENVELOPE ${asked(message.envelope)}`
    case 'body':
      return `BODY ${asked(message.basicStructure)}`
    case 'preview':
      return `PREVIEW ${Buffer.from(encodeString(asked(message.preview))).toString('latin1')}`
    case 'bodyStructure':
      return `BODYSTRUCTURE ${asked(message.structure)}`
    case 'modseq':
      return `MODSEQ (${message.modseq})`
    case 'saveDate':
      return `SAVEDATE ${formatDateTime(asked(message.saveDate))}`
    case 'emailId':
      return `EMAILID (${asked(message.emailId)})`
    case 'threadId':
      // RFC 8474 §5.2: no threads are kept.
      return 'THREADID NIL'
  }
}

function asked<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('a message lacks what was asked for')
  return value
}

/** An item asked for twice is answered once. */
function distinct(items: readonly FetchItem[]): FetchItem[] {
  const byName = new Map(items.map((item) => [item.kind === 'section' ? sectionKey(item) : item.kind, item]))
  return [...byName.values()]
}

function sectionKey({ label, section }: Extract<FetchItem, { kind: 'section' }>): string {
  return `${label} ${section.partial?.[1] ?? ''}`
}
