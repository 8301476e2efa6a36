/** A secret of a server we start: made at the first start, in a file only the owner may read. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

import { generatedPassword } from '@postbus/profile'

import { writeDurably } from './durable-file.ts'

export async function secretIn(file: string): Promise<string> {
  if (!existsSync(file)) await writeDurably(file, generatedPassword())
  return (await readFile(file, 'utf8')).trim()
}
