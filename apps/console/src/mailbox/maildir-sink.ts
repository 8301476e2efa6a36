/**
 * Writes a Maildir++ that Dovecot, mutt or mbsync read. A message has the same name at every export, made from UIDVALIDITY and UID:
 * what is there already is not written again. Whatever is in `cur` is whole: it was written in `tmp` before.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { toLf } from './line-endings.ts'
import type { ExportedMessage, MailboxSink, MailSink, Octets } from './mail.ts'
import { formatKeywords, KEYWORDS_FILE, lettersOf, parseKeywords } from './maildir-flags.ts'
import { folderOf, INBOX } from './maildir-names.ts'

const OURS = /\.V(\d+)U(\d+)\.postbus/

export function maildirSink(path: string, { crlf }: { crlf: boolean }): MailSink {
  const root = resolve(path)
  return {
    async open({ name, uidValidity }) {
      const dir = join(root, folderOf(name))
      for (const half of ['cur', 'new', 'tmp']) await mkdir(join(dir, half), { recursive: true })
      // Tells Dovecot and others that the directory is a folder of the Maildir above it.
      if (name !== INBOX) await writeFile(join(dir, 'maildirfolder'), '')
      return folder(dir, uidValidity, crlf)
    },
    async finish(subscribed) {
      const lines = subscribed.map((name) => name.split('/').join('\t'))
      await writeFile(join(root, 'subscriptions'), ['V\t2', '', ...lines, ''].join('\n'))
    },
  }
}

async function folder(dir: string, uidValidity: number, crlf: boolean): Promise<MailboxSink> {
  const there = await uidsIn(dir, uidValidity)
  const keywords = parseKeywords(await readFile(join(dir, KEYWORDS_FILE), 'utf8').catch(() => ''))
  return {
    has: (uid) => there.has(uid),
    async write(message) {
      const known = keywords.length
      const { letters, left } = lettersOf(message.flags, keywords)
      // Before the first message that needs it.
      if (keywords.length > known) await replaceFile(join(dir, KEYWORDS_FILE), formatKeywords(keywords))
      await writeMessage(dir, { ...message, uidValidity, letters, crlf })
      return left
    },
    async close() {},
  }
}

async function writeMessage(
  dir: string,
  message: ExportedMessage & { uidValidity: number; letters: string; crlf: boolean },
): Promise<void> {
  const { uid, uidValidity, internalDate, size, letters, octets, crlf } = message
  // Who reads the directory without our UIDs sorts by name: of one second, in the order of the mailbox.
  const order = String(uid).padStart(10, '0')
  const base = `${Math.floor(internalDate.getTime() / 1000)}.V${uidValidity}U${order}.postbus`
  const temporary = join(dir, 'tmp', base)
  let written = 0
  const counted = async function* (): Octets {
    for await (const chunk of crlf ? octets : toLf(octets)) {
      written += chunk.length
      yield chunk
    }
  }
  try {
    await pipeline(counted, createWriteStream(temporary))
    await utimes(temporary, internalDate, internalDate)
    // S and W as in Maildir++: octets in the file, and with CRLF.
    await rename(temporary, join(dir, 'cur', `${base},S=${written},W=${size}:2,${letters}`))
  } catch (cause) {
    await rm(temporary, { force: true })
    throw cause
  }
}

async function uidsIn(dir: string, uidValidity: number): Promise<Set<number>> {
  const found = new Set<number>()
  for (const half of ['cur', 'new']) {
    for (const file of await readdir(join(dir, half))) {
      const [, validity, uid] = OURS.exec(file) ?? []
      if (Number(validity) === uidValidity) found.add(Number(uid))
    }
  }
  return found
}

async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}
