/** LANG, in both states: which language the texts of replies are in — RFC 6856 §3. */
import { lines, Pop3Error } from '../reply.ts'
import type { Command } from '../session.ts'

const languages: ReadonlyMap<string, string> = new Map([
  ['en', 'English'],
  // RFC 2277 §4.5: understood by somebody who knows English.
  ['i-default', 'Default language'],
])

export const lang: Command = (_, argument) => {
  if (argument === '') {
    return { text: 'languages', body: lines([...languages].map(([tag, name]) => `${tag} ${name}`)) }
  }
  const range = argument.toLowerCase()
  // RFC 4647 §3.4: the longest tag that begins the range; `*` is whatever we like best.
  const tag = range === '*' ? 'en' : [...languages.keys()].find((known) => `${range}-`.startsWith(`${known}-`))
  if (tag === undefined) throw new Pop3Error('No such language; LANG lists them')
  return { text: `${tag} replies are in English` }
}
