/** Reads an mbox file as INBOX, or every mbox in a directory as the mailbox its path names. Nothing is changed. */
import { createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { toCrlf } from './line-endings.ts'
import { type MailSource, MessageUnreadable, NoMailThere, type SourceMailbox } from './mail.ts'
import { INBOX, levelOf } from './maildir-names.ts'
import { mboxMessages, NotMbox } from './mbox.ts'

const MAX_DEPTH = 30
/** What Thunderbird and Dovecot keep beside their mbox files. */
const NO_MBOX = /^\.|\.(?:msf|index|dat|sqlite|log)$/i

/** @throws NoMailThere */
export async function mboxSource(path: string): Promise<MailSource> {
  const root = resolve(path)
  const found = await stat(root).catch((cause) => {
    throw new NoMailThere(`there is nothing at ${root}`, { cause })
  })
  const files = found.isDirectory() ? await Array.fromAsync(filesIn(root, '')) : [{ name: INBOX, file: root }]
  if (files.length === 0) throw new NoMailThere(`there is no mbox in ${root}`)
  return {
    id: `mbox ${root}`,
    async *mailboxes() {
      for (const { name, file } of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) yield mailboxIn(file, name)
    },
    async close() {},
  }
}

async function* filesIn(dir: string, name: string, depth = 0): AsyncGenerator<{ name: string; file: string }> {
  if (depth === MAX_DEPTH) return
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (NO_MBOX.test(entry.name)) continue
    const path = join(dir, entry.name)
    const level = levelOf(decoded(entry.name.replace(/\.(?:mbox|sbd)$/, '')))
    const inner = name === '' ? level : `${name}/${level}`
    if (entry.isDirectory()) yield* filesIn(path, inner, depth + 1)
    else if (entry.isFile() && (await startsWithFrom(path))) yield { name: inner, file: path }
  }
}

/** Files that are no mbox lie about in every such directory. An empty one is an empty mailbox. */
async function startsWithFrom(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(5), 0, 5, 0)
    return bytesRead === 0 ? path.endsWith('.mbox') : buffer.toString('latin1') === 'From '
  } finally {
    await file.close()
  }
}

function mailboxIn(file: string, name: string): SourceMailbox {
  return {
    ...{ name, specialUse: null, subscribed: true, count: null },
    async *messages(isTaken) {
      try {
        for await (const { offset, flags, date, octets } of mboxMessages(createReadStream(file))) {
          const key = String(offset)
          if (!isTaken(key)) yield { key, flags, internalDate: date, size: null, octets: toCrlf(octets) }
        }
      } catch (cause) {
        if (!(cause instanceof NotMbox)) throw cause
        throw new MessageUnreadable(`${file} is no mbox: ${cause.message}`, { cause })
      }
    },
  }
}

/** What a file name of the export was escaped with. */
const decoded = (level: string): string => level.replaceAll('%2E', '.')
