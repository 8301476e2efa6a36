/**
 * What FETCH asks for — RFC 9051 §6.4.5 and §9 (fetch-att, section), RFC 7162 §3.1.4 (MODSEQ), RFC 8474 §5 (EMAILID, THREADID), RFC
 * 8514 §4.2 (SAVEDATE).
 *
 * A section keeps the label it is answered under, spelt as the client spelt it apart from case and the origin octet.
 */
import { asNumber, type Arguments } from './arguments.ts'
import { encodeAstring } from './encode.ts'
import { ImapSyntaxError } from './syntax-error.ts'

export interface SectionSpec {
  /** '' is the whole message, else `1.2`. */
  part: string
  kind: 'all' | 'header' | 'text' | 'mime' | 'fields' | 'fieldsNot'
  fields?: string[]
  /** First octet and how many. */
  partial?: [first: number, count: number]
  /** BINARY[…]: without its transfer encoding; BINARY.SIZE[…]: only how many octets that are — RFC 9051 §6.4.5. */
  binary?: 'octets' | 'size'
}

export type FetchItem =
  | { kind: 'modseq' | 'saveDate' | 'emailId' | 'threadId' }
  | { kind: 'uid' | 'flags' | 'internalDate' | 'size' | 'envelope' | 'body' | 'bodyStructure' | 'preview' }
  | { kind: 'section'; section: SectionSpec; label: string; peek: boolean }

const MAX_ITEMS = 100
const MAX_FIELDS = 500
const MAX_PARTS = 100

const NAME = /[A-Za-z0-9][A-Za-z0-9.]*/y
const PART = /[1-9][0-9]{0,9}(\.[1-9][0-9]{0,9})*/y
const SECTION_NAME = /[A-Za-z][A-Za-z.]*/y

const single: Record<string, FetchItem['kind'] & Exclude<FetchItem['kind'], 'section'>> = {
  UID: 'uid',
  FLAGS: 'flags',
  INTERNALDATE: 'internalDate',
  'RFC822.SIZE': 'size',
  ENVELOPE: 'envelope',
  BODYSTRUCTURE: 'bodyStructure',
  MODSEQ: 'modseq',
  SAVEDATE: 'saveDate',
  EMAILID: 'emailId',
  THREADID: 'threadId',
}

/** RFC 3501 §6.4.5: what these are short for. */
const legacy: Record<string, { section: SectionSpec; peek: boolean }> = {
  RFC822: { section: { part: '', kind: 'all' }, peek: false },
  'RFC822.HEADER': { section: { part: '', kind: 'header' }, peek: true },
  'RFC822.TEXT': { section: { part: '', kind: 'text' }, peek: false },
}

const macros: Record<string, Exclude<FetchItem['kind'], 'section'>[]> = {
  FAST: ['flags', 'internalDate', 'size'],
  ALL: ['flags', 'internalDate', 'size', 'envelope'],
  FULL: ['flags', 'internalDate', 'size', 'envelope', 'body'],
}

export function parseFetchItems(args: Arguments): FetchItem[] {
  if (args.next('(')) return args.list(() => parseFetchItem(args), { max: MAX_ITEMS })
  // A macro stands alone — RFC 9051 §6.4.5.
  for (const [macro, kinds] of Object.entries(macros)) {
    if (args.skipWord(macro)) return kinds.map((kind) => ({ kind }))
  }
  return [parseFetchItem(args)]
}

function parseFetchItem(args: Arguments): FetchItem {
  const name = args.pattern(NAME, 'a FETCH item').toUpperCase()
  const old = legacy[name]
  if (old) return { kind: 'section', label: name, ...old }
  if (name === 'BODY' || name === 'BODY.PEEK') {
    if (args.next('[')) return parseSectionItem(args, name === 'BODY.PEEK')
    if (name === 'BODY') return { kind: 'body' }
  }
  if (name === 'BINARY' || name === 'BINARY.PEEK') return parseBinaryItem(args, name === 'BINARY.PEEK')
  if (name === 'BINARY.SIZE') return parseBinarySize(args)
  if (name === 'PREVIEW') {
    // RFC 8970 §3.2: LAZY asks for what is at hand without work, and every preview is.
    args.skipWord(' (LAZY)')
    return { kind: 'preview' }
  }
  const kind = single[name]
  if (!kind) throw new ImapSyntaxError(`${name} is not a FETCH item`)
  return { kind }
}

function parseSectionItem(args: Arguments, peek: boolean): FetchItem {
  const section = parseBracketed(args)
  return parsePartial(args, section, `BODY[${formatSectionSpec(section)}]`, peek)
}

/** RFC 3516 §4.2. It knows part numbers only; as in Dovecot, any section may be asked for. */
function parseBinaryItem(args: Arguments, peek: boolean): FetchItem {
  const section = parseBracketed(args)
  return parsePartial(args, { ...section, binary: 'octets' }, `BINARY[${formatSectionSpec(section)}]`, peek)
}

/** RFC 3516 §4.3: of the whole section, never of a partial. */
function parseBinarySize(args: Arguments): FetchItem {
  const section = parseBracketed(args)
  const label = `BINARY.SIZE[${formatSectionSpec(section)}]`
  return { kind: 'section', section: { ...section, binary: 'size' }, label, peek: true }
}

function parseBracketed(args: Arguments): SectionSpec {
  args.expect('[')
  const section = parseSectionSpec(args)
  args.expect(']')
  return section
}

function parsePartial(args: Arguments, section: SectionSpec, label: string, peek: boolean): FetchItem {
  if (!args.skip('<')) return { kind: 'section', section, label, peek }
  const origin = args.exactNumber64('the first octet')
  // Not in the grammar: without a count it is up to the end, as in Dovecot.
  const count = args.skip('.') ? args.number64('how many octets') : Number.MAX_SAFE_INTEGER
  if (count === 0) throw new ImapSyntaxError('A partial FETCH of no octets')
  args.expect('>')
  const partial: SectionSpec['partial'] = [asNumber(origin), count]
  return { kind: 'section', section: { ...section, partial }, label: `${label}<${origin}>`, peek }
}

function parseSectionSpec(args: Arguments): SectionSpec {
  if (args.next(']')) return { part: '', kind: 'all' }
  const part = /[0-9]/.test(peek(args)) ? parsePart(args) : ''
  if (part !== '' && !args.skip('.')) return { part, kind: 'all' }
  const name = args.pattern(SECTION_NAME, 'a section').toUpperCase()
  switch (name) {
    case 'HEADER':
      return { part, kind: 'header' }
    case 'TEXT':
      return { part, kind: 'text' }
    case 'MIME':
      // MIME needs a part number — RFC 9051 §9 (section-text).
      if (part !== '') return { part, kind: 'mime' }
      break
    case 'HEADER.FIELDS':
    case 'HEADER.FIELDS.NOT':
      args.space()
      return {
        part,
        kind: name === 'HEADER.FIELDS' ? 'fields' : 'fieldsNot',
        fields: args.list(() => args.fieldName(), { max: MAX_FIELDS }),
      }
  }
  throw new ImapSyntaxError(`${name} is not a section`)
}

function parsePart(args: Arguments): string {
  const part = args.pattern(PART, 'a part number such as 1.2')
  if (part.split('.').length > MAX_PARTS) throw new ImapSyntaxError(`More than ${MAX_PARTS} levels of parts`)
  return part
}

function peek(args: Arguments): string {
  for (const digit of '0123456789') if (args.next(digit)) return digit
  return ''
}

function formatSectionSpec({ part, kind, fields }: SectionSpec): string {
  const names = {
    all: '',
    header: 'HEADER',
    text: 'TEXT',
    mime: 'MIME',
    fields: 'HEADER.FIELDS',
    fieldsNot: 'HEADER.FIELDS.NOT',
  }
  const words = [part, names[kind]].filter((word) => word !== '').join('.')
  // Names in capitals, as Dovecot tells them: clients compare without case.
  return fields ? `${words} (${fields.map((name) => encodeAstring(name.toUpperCase())).join(' ')})` : words
}
