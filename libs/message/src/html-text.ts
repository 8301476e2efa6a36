/**
 * HTML as plain text, for a preview: no markup, no scripts or styles, character references resolved. A reader for people in a
 * hurry, not a parser: whatever comes in, the work is linear and nothing throws.
 */

/** Their content is no text. */
const HIDDEN = new Set(['script', 'style', 'template'])

/** Words around these do not touch. */
const INLINE = new Set([
  'a',
  'abbr',
  'b',
  'big',
  'code',
  'em',
  'font',
  'i',
  'mark',
  'small',
  'span',
  'strong',
  'sub',
  'sup',
  'u',
])

export function plainOfHtml(html: string): string {
  const lower = html.toLowerCase()
  let text = ''
  for (let at = 0; at < html.length;) {
    const open = html.indexOf('<', at)
    text += resolved(html.slice(at, open < 0 ? html.length : open))
    if (open < 0) break
    if (html.startsWith('<!--', open)) {
      at = after(html, '-->', open + 4)
      continue
    }
    const [, closing = '', name = ''] = /^<(\/?)([a-z][a-z0-9]{0,20})/.exec(lower.slice(open, open + 24)) ?? []
    if (name === '' && !/^<[!?/]/.test(html.slice(open, open + 2))) {
      text += '<'
      at = open + 1
      continue
    }
    at = after(html, '>', open)
    if (closing === '' && HIDDEN.has(name)) at = after(lower, '>', after(lower, `</${name}`, at))
    if (!INLINE.has(name)) text += ' '
  }
  return text
}

/** Just behind the next `mark`; the end if there is none. */
function after(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from)
  return found < 0 ? text.length : found + mark.length
}

const NAMED: Record<string, string> = {
  amp: '&',
  apos: "'",
  bull: '•',
  copy: '©',
  euro: '€',
  gt: '>',
  hellip: '…',
  laquo: '«',
  ldquo: '“',
  lsquo: '‘',
  lt: '<',
  mdash: '—',
  nbsp: '\u00a0',
  ndash: '–',
  quot: '"',
  raquo: '»',
  rdquo: '”',
  reg: '®',
  rsquo: '’',
  shy: '',
  zwnj: '',
  Auml: 'Ä',
  Ouml: 'Ö',
  Uuml: 'Ü',
  auml: 'ä',
  eacute: 'é',
  egrave: 'è',
  ouml: 'ö',
  szlig: 'ß',
  uuml: 'ü',
}

/** Names that are not known stay as they stand. */
function resolved(text: string): string {
  if (!text.includes('&')) return text
  return text.replaceAll(/&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));?/g, (reference, ...groups) => {
    const [decimal, hex, name]: (string | undefined)[] = groups
    if (name !== undefined) return Object.hasOwn(NAMED, name) ? (NAMED[name] ?? reference) : reference
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : '\ufffd'
  })
}
