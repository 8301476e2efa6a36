/** What SEARCH is to answer with — RFC 9051 §6.4.4 (RETURN), RFC 4731, RFC 5182 (SAVE), RFC 9394 (PARTIAL). */
import type { Arguments } from './arguments.ts'
import { parsePartialRange, type PartialRange } from './partial-range.ts'
import { ImapSyntaxError } from './syntax-error.ts'

export interface SearchReturn {
  min: boolean
  max: boolean
  all: boolean
  count: boolean
  save: boolean
  partial?: PartialRange
}

const MAX_OPTIONS = 20
const FLAGS = { MIN: 'min', MAX: 'max', ALL: 'all', COUNT: 'count', SAVE: 'save' } as const

/** With the space behind it; undefined without RETURN. */
export function parseSearchReturn(args: Arguments): SearchReturn | undefined {
  if (!args.skipWord('RETURN')) return undefined
  const options: SearchReturn = { min: false, max: false, all: false, count: false, save: false }
  let any = false
  const read = (): void => {
    any = true
    const name = args.keyword('a result option')
    if (name === 'PARTIAL') {
      if (options.partial) throw new ImapSyntaxError('PARTIAL can be given once')
      options.partial = parsePartialRange(args.space())
    } else if (isFlag(name)) options[FLAGS[name]] = true
    else throw new ImapSyntaxError(`${name} is not a result option of SEARCH`)
  }
  args.space().list(read, { empty: true, max: MAX_OPTIONS })
  args.space()
  // RFC 9051 §6.4.4: `()` stands for ALL.
  if (!any) options.all = true
  // RFC 9394 §3.1
  if (options.partial && options.all) throw new ImapSyntaxError('PARTIAL and ALL exclude each other')
  return options
}

const isFlag = (name: string): name is keyof typeof FLAGS => Object.hasOwn(FLAGS, name)
