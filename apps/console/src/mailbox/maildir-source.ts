/**
 * Reads a Maildir with its folders: Maildir++ (`.Work.2026` beside `cur`), or folders in folders. Nothing in it is changed. The
 * date of a message is its file's, as Dovecot keeps it.
 */
import { createReadStream } from 'node:fs'
import { access, readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { toCrlf } from './line-endings.ts'
import { MessageUnreadable, NoMailThere, type MailSource, type Octets, OtherForm, type SourceMailbox } from './mail.ts'
import { flagsOf, KEYWORDS_FILE, parseKeywords, splitFileName } from './maildir-flags.ts'
import { INBOX, levelOf, mailboxOf } from './maildir-names.ts'

/** Levels of folders in folders that are followed. */
const MAX_DEPTH = 30

/** @throws NoMailThere, OtherForm, and what the file system says of a directory that cannot be read */
export async function maildirSource(path: string): Promise<MailSource> {
  const root = resolve(path)
  const found = await stat(root).catch((error: unknown) => {
    if (isAbsent(error)) throw new NoMailThere(`there is nothing at ${root}`, { cause: error })
    throw error
  })
  if (!found.isDirectory()) throw new OtherForm(`${root} is a file and no Maildir; --format mbox reads an mbox`)
  const folders: { name: string; dir: string }[] = []
  for await (const folder of foldersIn(root, '')) folders.push(folder)
  if (folders.length === 0) throw new NoMailThere(`there is no Maildir at ${root}: no directory 'cur' in it or below`)
  const subscribed = await subscriptions(root)
  return {
    id: `maildir ${root}`,
    async *mailboxes() {
      for (const { name, dir } of folders.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
        yield await mailboxIn(dir, name, subscribed?.has(name) ?? true)
      }
    },
    async close() {},
  }
}

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

async function* foldersIn(dir: string, name: string, depth = 0): AsyncGenerator<{ name: string; dir: string }> {
  if (await isMaildir(dir)) yield { name: name || INBOX, dir }
  if (depth === MAX_DEPTH) return
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (!entry.isDirectory() || ['cur', 'new', 'tmp'].includes(entry.name)) continue
    const below = join(dir, entry.name)
    const inner = entry.name.startsWith('.') ? mailboxOf(entry.name) : levelOf(entry.name)
    if (inner === null) continue
    if (!entry.name.startsWith('.')) yield* foldersIn(below, name === '' ? inner : `${name}/${inner}`, depth + 1)
    else if (name === '' && (await isMaildir(below))) yield { name: inner, dir: below }
  }
}

async function isMaildir(dir: string): Promise<boolean> {
  return access(join(dir, 'cur')).then(
    () => true,
    () => false,
  )
}

async function mailboxIn(dir: string, name: string, subscribed: boolean): Promise<SourceMailbox> {
  const keywords = parseKeywords(await textOf(join(dir, KEYWORDS_FILE)))
  const files = await filesIn(dir)
  return {
    ...{ name, subscribed, specialUse: null, count: files.length },
    async *messages(isTaken) {
      for (const { file, half, base, letters } of files) {
        if (isTaken(base)) continue
        const path = join(dir, half, file)
        const known = await stat(path).catch(() => null)
        yield {
          ...{ key: base, size: null, internalDate: known?.mtime ?? null },
          flags: half === 'new' ? [] : flagsOf(letters, keywords),
          octets: toCrlf(octetsOf(path)),
        }
      }
    },
  }
}

/** Names of files begin with the time of their coming; the number of digits is the same for centuries. */
async function filesIn(dir: string) {
  const found: { file: string; half: string; base: string; letters: string }[] = []
  for (const half of ['cur', 'new']) {
    const names = await readdir(join(dir, half)).catch(() => [])
    for (const file of names) if (!file.startsWith('.')) found.push({ file, half, ...splitFileName(file) })
  }
  return found.toSorted((a, b) => (a.base < b.base ? -1 : 1))
}

async function* octetsOf(path: string): Octets {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>
  } catch (cause) {
    throw new MessageUnreadable(`${path} cannot be read`, { cause })
  }
}

const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')

/** Dovecot's list, of either version; null where there is none. */
async function subscriptions(root: string): Promise<Set<string> | null> {
  const text = await textOf(join(root, 'subscriptions'))
  if (text === '') return null
  const isSecond = text.startsWith('V\t2\n')
  const lines = text.split('\n').slice(isSecond ? 2 : 0)
  const names = lines.filter((line) => line !== '').map((line) => line.split(isSecond ? '\t' : '.').map(levelOf))
  return new Set(names.map((levels) => levels.join('/')))
}
