/** Writes the mail of an account out: every mailbox, or those named. What is there from an export before is not written again. */
import type { MailboxInfo } from '@postbus/contracts'

import { isChosen, NoSuchMailbox } from './import-mail.ts'
import type { ExportedMessage, MailSink } from './mail.ts'

/** The account as it is read. */
export interface ExportSource {
  mailboxes(): Promise<MailboxInfo[]>
  /** UIDs, ascending. */
  uids(mailbox: MailboxInfo): Promise<number[]>
  /** Those gone meanwhile are left out. */
  messages(mailbox: MailboxInfo, uids: readonly number[]): AsyncIterable<ExportedMessage>
}

export interface ExportOptions {
  only: readonly string[]
  dryRun: boolean
  onProgress(progress: { mailbox: string; done: number; total: number; bytes: number }): void
}

export interface Exported {
  mailboxes: { mailbox: string; messages: number; bytes: number; there: number }[]
  /** Mailboxes that were there as a whole. */
  untouched: string[]
  /** Keywords left out because the form had no room for them. */
  keywordsLeftOut: string[]
}

/** Messages asked for at once. */
const PAGE = 2000

/** @throws NoSuchMailbox when `only` names none of the account's */
export async function exportMail(source: ExportSource, sink: MailSink, options: ExportOptions): Promise<Exported> {
  const result: Exported = { mailboxes: [], untouched: [], keywordsLeftOut: [] }
  const leftOut = new Set<string>()
  const all = await source.mailboxes()
  const { only, dryRun } = options
  const chosen = all.filter(({ name }) => isChosen(only, name))
  if (chosen.length === 0 && only.length > 0) throw new NoSuchMailbox(only)
  for (const mailbox of chosen) {
    const counted = { mailbox: mailbox.name, messages: 0, bytes: 0, there: 0 }
    if (dryRun) {
      result.mailboxes.push({ ...counted, messages: mailbox.messages, bytes: mailbox.size })
      continue
    }
    const open = await sink.open(mailbox)
    if (open === null) {
      result.untouched.push(mailbox.name)
      continue
    }
    result.mailboxes.push(counted)
    let complete = false
    try {
      const uids = await source.uids(mailbox)
      const wanted = uids.filter((uid) => !open.has(uid))
      counted.there = uids.length - wanted.length
      for (let from = 0; from < wanted.length; from += PAGE) {
        for await (const message of source.messages(mailbox, wanted.slice(from, from + PAGE))) {
          for (const keyword of await open.write(message)) leftOut.add(keyword)
          counted.messages++
          counted.bytes += message.size
          const done = counted.there + counted.messages
          options.onProgress({ mailbox: mailbox.name, done, total: uids.length, bytes: counted.bytes })
        }
      }
      complete = true
    } finally {
      await open.close(complete)
    }
  }
  if (!dryRun) await sink.finish(all.filter(({ subscribed }) => subscribed).map(({ name }) => name))
  result.keywordsLeftOut = [...leftOut]
  return result
}
