/**
 * Writes a file for each mailbox, in directories for its levels. A file has its name once it is whole; a mailbox whose file is
 * there is left alone, so an export that was broken off goes on with the mailbox it was in.
 */
import { createWriteStream, type WriteStream } from 'node:fs'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { dirname, join, resolve } from 'node:path'

import { encodeUtf7 } from '@postbus/imap-wire'

import { toLf } from './line-endings.ts'
import type { MailboxSink, MailSink } from './mail.ts'
import { mboxQuoted, mboxStart } from './mbox.ts'

export function mboxSink(path: string): MailSink {
  const root = resolve(path)
  return {
    async open({ name }) {
      const file = join(root, `${name.split('/').map(fileNameOf).join('/')}.mbox`)
      if (await exists(file)) return null
      await mkdir(dirname(file), { recursive: true })
      return mailboxFile(file)
    },
    async finish() {},
  }
}

async function mailboxFile(file: string): Promise<MailboxSink> {
  const unfinished = `${file}.part`
  const stream = createWriteStream(unfinished)
  await once(stream, 'open')
  return {
    has: () => false,
    async write({ internalDate, flags, octets }) {
      await put(stream, Buffer.from(mboxStart({ internalDate, flags })))
      for await (const chunk of mboxQuoted(toLf(octets))) await put(stream, chunk)
      return []
    },
    async close(complete) {
      stream.end()
      await once(stream, 'close')
      await (complete ? rename(unfinished, file) : rm(unfinished, { force: true }))
    },
  }
}

async function put(stream: WriteStream, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain')
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** No level leads out of its directory, or looks like a file that is none. */
const fileNameOf = (level: string): string => encodeUtf7(level).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length))
