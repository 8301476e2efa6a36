/** What Postfix's lookup tables are made from: postmap(1) and aliases(5) text, lists in files, and inline ones. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { logicalLines } from './main-cf.ts'

export interface Entry {
  key: string
  value: string
}

export interface Tables {
  /** Every entry of `type:name`. Null: it cannot be read here; the remarks say why. */
  entries(reference: string): Promise<Entry[] | null>
  /** The lines of a file. */
  lines(path: string): Promise<string[] | null>
  remarks: string[]
}

/** Types whose text lies beside the database, under the same name. */
const FROM_TEXT = new Set(['hash', 'btree', 'dbm', 'lmdb', 'cdb', 'texthash', 'sdbm'])

/** @param root before every path, where the files are a copy of another machine's */
export function tablesBelow(root: string): Tables {
  const remarks: string[] = []
  const read = async (path: string): Promise<string | null> => {
    try {
      return await readFile(join(root, path), 'utf8')
    } catch (error) {
      remarks.push(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
      return null
    }
  }
  return {
    remarks,
    async entries(reference) {
      const [, type = '', name = ''] = /^(?:proxy:)?(\w+):(.*)$/s.exec(reference) ?? []
      if (type === 'inline') return inlineEntries(name)
      if (FROM_TEXT.has(type)) {
        const text = await read(name)
        return text === null ? null : entriesIn(text)
      }
      remarks.push(
        `${reference}: tables of type ${type || 'unknown'} cannot be read; write what it holds into a text file`,
      )
      return null
    },
    async lines(path) {
      const text = await read(path)
      return text === null ? null : logicalLines(text)
    },
  }
}

function entriesIn(text: string): Entry[] {
  return logicalLines(text).flatMap((line) => {
    // aliases(5) has a colon, and may quote its names; postmap(1) has white space.
    const [, quoted, plain, value] =
      /^(?:"([^"]+)"|([^\s:"]+(?::(?!\s|$)[^\s:]*)*))(?:\s*:\s+|\s+|:$|$)(.*)$/s.exec(line) ?? []
    const key = quoted ?? plain
    return key === undefined ? [] : [{ key, value: (value ?? '').trim() }]
  })
}

/** `{ key=value, key=value }`, or with braces around what holds commas or blanks: `{ {key = value, value}, … }`. */
function inlineEntries(text: string): Entry[] {
  const inside = text.replace(/^\s*\{(.*)\}\s*$/s, '$1')
  const pairs = inside.match(/\{[^}]*\}|[^\s,{}]+/g) ?? []
  return pairs.flatMap((pair) => {
    const [, key, value] = /^\{?\s*(\S+?)\s*=\s*(.*?)\s*\}?$/s.exec(pair) ?? []
    return key === undefined || value === undefined ? [] : [{ key, value }]
  })
}

/** Addresses and the like, separated by commas or white space; quoted ones in one piece. */
export function valuesIn(text: string): string[] {
  return (text.match(/(?:"[^"]*"|[^\s,"])+/g) ?? []).map((value) => value.replace(/^"(.*)"$/s, '$1'))
}
