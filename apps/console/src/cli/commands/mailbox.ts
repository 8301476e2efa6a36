/** postbus mailbox …: an account's mail, listed, in and out, checked, and back from where it was expunged to. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'

import { openBlobs } from '@postbus/blobs'
import { type ExpungedMessage, type Fault, MAX_RESTORED } from '@postbus/contracts'
import { layoutOf } from '@postbus/profile'

import { connectImapSource, parseImapUrl } from '../../adapters/imap-client.ts'
import { keptBytes } from '../../adapters/kept-bytes.ts'
import { Mailboxes } from '../../adapters/mailboxes.ts'
import { exportMail } from '../../mailbox/export-mail.ts'
import { type Imported, NoSuchMailbox } from '../../mailbox/import-mail.ts'
import type { MailSource } from '../../mailbox/mail.ts'
import { maildirSink } from '../../mailbox/maildir-sink.ts'
import { maildirSource } from '../../mailbox/maildir-source.ts'
import { mboxSink } from '../../mailbox/mbox-sink.ts'
import { mboxSource } from '../../mailbox/mbox-source.ts'
import {
  type Answer,
  type Command,
  type CommandContext,
  listOption,
  type OptionValues,
  take,
  textOption,
  UsageError,
} from '../command.ts'
import { dataDirectory } from '../connect.ts'
import { importFrom, importRefusals } from '../import.ts'
import { knownPassword } from '../password.ts'
import { bar } from '../status-line.ts'
import { bytes, facts, span, table } from '../table.ts'
import { timeOf } from './queue-filter.ts'

const MAX_NAMED = 100

const formatOption = { format: { type: 'string', help: 'maildir (default) or mbox' } } satisfies Command['options']
const onlyOption = {
  mailbox: { type: 'string', multiple: true, help: 'only this one; repeat for more. Work/* is all below Work' },
} satisfies Command['options']
const dryRunOption = { 'dry-run': { type: 'boolean', help: 'only say what it would do' } } satisfies Command['options']

export const mailboxCommands: Command[] = [
  {
    name: 'mailbox list',
    takes: '<address>',
    summary: "an account's mailboxes, and what is in them",
    async run(context) {
      const account = await opened(context)
      const [mailboxes, quota] = await Promise.all([account.mailboxes(), account.quota()])
      const rows = mailboxes.map(({ name, messages, unseen, size, uidValidity, uidNext, specialUse, subscribed }) => [
        ...[name, messages, unseen, bytes(size), uidValidity, uidNext, specialUse.join(' '), subscribed ? 'yes' : 'no'],
      ])
      const header = ['mailbox', 'messages', 'unseen', 'size', 'uidvalidity', 'uidnext', 'use', 'subscribed']
      const limit = quota.limitBytes === null ? '' : ` of ${bytes(quota.limitBytes)}`
      const sum = `${quota.messages} messages, ${bytes(quota.usedBytes)}${limit}`
      return { value: { mailboxes, quota }, text: `${table(header, rows)}\n\n${sum}` }
    },
  },
  {
    name: 'mailbox export',
    refusals: [NoSuchMailbox],
    takes: '<address> <dir>',
    summary: 'write the mail of an account into a Maildir or mbox files',
    details:
      'Called again it writes what is not there yet: into a Maildir new messages, as mbox whole mailboxes. What was expunged or changed\nits flags meanwhile stays as it was written. Beyond 26 keywords in a mailbox a Maildir has no room for more.',
    options: {
      ...formatOption,
      ...onlyOption,
      ...dryRunOption,
      crlf: { type: 'boolean', help: 'end lines with CRLF as on the wire (maildir); else with LF' },
    },
    async run(context) {
      const { args, options, status } = context
      const [, dir] = take(args, '<address>', '<dir>')
      const account = await opened(context)
      const sink = isMbox(options) ? mboxSink(dir) : maildirSink(dir, { crlf: options['crlf'] === true })
      const value = await exportMail(account, sink, {
        ...{ only: listOption(options, 'mailbox') ?? [], dryRun: options['dry-run'] === true },
        onProgress: ({ mailbox, done, total, bytes: octets }) =>
          status(`${bar(done, total)}  ${bytes(octets)}  ${mailbox}`),
      })
      status(null)
      const rows = value.mailboxes.map(({ mailbox, messages, bytes: octets, there }) => [
        ...[mailbox, messages, bytes(octets), there],
      ])
      const remarks = [
        ...(value.untouched.length > 0 ? [`there already, left as they are: ${value.untouched.join(', ')}`] : []),
        ...(value.keywordsLeftOut.length > 0 ? [`no room for the keywords ${value.keywordsLeftOut.join(' ')}`] : []),
      ]
      const text = [table(['mailbox', 'messages', 'size', 'were there'], rows), ...remarks].join('\n\n')
      return { value, text, incomplete: value.keywordsLeftOut.length > 0 }
    },
  },
  {
    name: 'mailbox import',
    refusals: importRefusals,
    takes: '<address> <source>',
    summary: 'take mail into an account from a Maildir, mbox files or another IMAP server',
    details:
      'The source is a directory, a file, or imaps://user@host[:port] (imap:// begins TLS with STARTTLS). Flags, keywords, dates and the\nnames of mailboxes come along. It can be broken off at any time and called again: a journal knows what was taken, so the same call\nlater takes what came meanwhile. Nothing in the source is changed, and nothing in the account but what is added.',
    options: {
      ...formatOption,
      ...onlyOption,
      ...dryRunOption,
      into: { type: 'string', help: 'put everything below this mailbox; INBOX becomes it' },
      journal: {
        type: 'string',
        help: 'file of what was taken (default: one for this source and account, in ~/.local/state)',
      },
      'password-stdin': { type: 'boolean', help: 'of the other server: read from standard input' },
      ca: { type: 'string', help: 'of the other server: PEM file of who signed its certificate' },
    },
    async run(context) {
      const { args, options } = context
      const [, from] = take(args, '<address>', '<source>')
      const account = await opened(context)
      const journal = textOption(options, 'journal')
      const call = {
        ...{ only: listOption(options, 'mailbox') ?? [], into: textOption(options, 'into') ?? null },
        ...{ dryRun: options['dry-run'] === true, ...(journal !== undefined && { journal }) },
      }
      return imported(await importFrom(await sourceOf(from, options), account, call, context))
    },
  },
  {
    name: 'mailbox fsck',
    takes: '<address>',
    summary: 'check that all an account has fits together; exit status 1 if not',
    details:
      'Counters, sizes, references, the offsets of parts, and that the bytes of every message are there. --repair sets right what follows\nfrom the rest. Bytes that are gone cannot be made again; their message stays, because a disk may only be missing.',
    options: { repair: { type: 'boolean', help: 'set right what can be' } },
    async run(context) {
      const account = await opened(context)
      const faults: Fault[] = []
      let messages = 0
      for await (const row of account.check(context.options['repair'] === true)) {
        if (row.kind === 'fault') faults.push(row.fault)
        else if (row.mailbox === undefined) messages = row.messages
        else context.status(`${row.messages} messages in ${row.mailbox}`)
      }
      context.status(null)
      const left = faults.filter(({ repaired }) => !repaired)
      const rows = faults
        .slice(0, MAX_NAMED)
        .map(({ mailbox, uid, kind, detail, repaired }) => [mailbox, uid, kind, detail, repaired ? 'repaired' : ''])
      const more = faults.length > MAX_NAMED ? [`… and ${faults.length - MAX_NAMED} more`] : []
      const verdict = `${messages} messages; ${faults.length === 0 ? 'no fault' : `${faults.length} faults, ${left.length} of them left`}`
      return {
        value: { messages, faults },
        text: [
          ...(faults.length > 0 ? [table(['mailbox', 'uid', 'fault', 'what', ''], rows)] : []),
          ...more,
          verdict,
        ].join('\n\n'),
        incomplete: left.length > 0,
      }
    },
  },
  {
    name: 'mailbox undelete',
    takes: '<address>',
    summary: 'put expunged messages back',
    details:
      'Names them by options, or with --all. For how long they are kept says MAILSTORE_UNDELETE_MS. They come back into the mailbox they\nwere in, which is made again if it is gone, with their flags and dates, as new messages to clients.',
    options: {
      all: { type: 'boolean', help: 'everything that is kept' },
      mailbox: { type: 'string', help: 'expunged from this mailbox' },
      since: { type: 'string', help: 'expunged in the last 90s, 30m, 2h, 3d' },
      id: { type: 'string', multiple: true, help: 'this one, by the number that --dry-run shows; repeat for more' },
      into: { type: 'string', help: 'put them into this mailbox instead' },
      ...dryRunOption,
    },
    async run(context) {
      const { options } = context
      const dryRun = options['dry-run'] === true
      const ids = listOption(options, 'id')?.map(idOf)
      const mailbox = textOption(options, 'mailbox')
      const since = timeOf(options, 'since')
      const named = ids !== undefined || mailbox !== undefined || since !== undefined
      if (!dryRun && named === (options['all'] === true)) {
        throw new UsageError(`say which messages, or --all for every one${named ? '; not both' : ''}`)
      }
      const account = await opened(context)
      const kept = await account.expunged({
        ...(mailbox !== undefined && { mailbox }),
        ...(since !== undefined && { since }),
      })
      const chosen = ids === undefined ? kept : kept.filter(({ id }) => ids.includes(id))
      if (dryRun) return { value: chosen, text: `${listing(chosen)}\n\n${chosen.length} in all` }
      let restored = 0
      for (let from = 0; from < chosen.length; from += MAX_RESTORED) {
        const some = chosen.slice(from, from + MAX_RESTORED).map(({ id }) => id)
        restored += await account.restore(some, textOption(options, 'into'))
        context.status(bar(from + some.length, chosen.length))
      }
      context.status(null)
      return { value: { restored }, text: `${restored} messages are back` }
    },
  },
]

/** Large messages lie beside the bus, where mailstore and its front ends have them. */
const opened = (context: CommandContext): Promise<Mailboxes> => openedAt(context.args[0] ?? '', context)

export async function openedAt(address: string, { bus, options, env, by }: CommandContext): Promise<Mailboxes> {
  const { blobs, settings } = await keptBytes(layoutOf(dataDirectory(textOption(options, 'data'))), env)
  return Mailboxes.open(bus, await openBlobs(blobs, settings), { address, by })
}

function isMbox(options: OptionValues): boolean {
  const format = textOption(options, 'format') ?? 'maildir'
  if (format !== 'maildir' && format !== 'mbox') throw new UsageError(`--format is maildir or mbox; not ${format}`)
  return format === 'mbox'
}

async function sourceOf(from: string, options: OptionValues): Promise<MailSource> {
  if (!/^imaps?:\/\//.test(from)) return isMbox(options) ? mboxSource(from) : maildirSource(from)
  const server = parseImapUrl(from)
  if (server === null) throw new UsageError(`another server is imaps://user@host or imap://user@host; not ${from}`)
  const ca = textOption(options, 'ca')
  const password = await knownPassword(options)
  return connectImapSource({
    ...server,
    password,
    ...(ca !== undefined && { ca: await readFile(resolve(ca), 'utf8') }),
  })
}

function imported(value: Imported & { journal: string }): Answer {
  const { journal } = value
  const rows = value.mailboxes.map(({ from, to, messages, bytes: octets, taken }) => [
    ...[from, from === to ? '' : to, messages, bytes(octets), taken],
  ])
  const failed = value.failed.slice(0, MAX_NAMED).map(({ mailbox, key, reason }) => [mailbox, key, reason])
  const more = value.failed.length > MAX_NAMED ? [`… and ${value.failed.length - MAX_NAMED} more`] : []
  return {
    value,
    text: [
      table(['mailbox', 'as', 'messages', 'size', 'were taken'], rows),
      ...(failed.length > 0 ? [`not taken:\n${table(['mailbox', 'message', 'reason'], failed)}`] : []),
      ...more,
      facts({ journal }),
    ].join('\n\n'),
    incomplete: value.failed.length > 0,
  }
}

function listing(messages: readonly ExpungedMessage[]): string {
  const rows = messages.map(({ id, mailbox, expungedAt, keptUntil, size, from, subject }) => [
    ...[id, mailbox, `${span(Date.now() - Date.parse(expungedAt))} ago`, span(Date.parse(keptUntil) - Date.now())],
    ...[bytes(size), from, subject],
  ])
  return table(['id', 'mailbox', 'expunged', 'kept for', 'size', 'from', 'subject'], rows)
}

function idOf(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new UsageError(`--id is a number that --dry-run shows; not ${text}`)
  return Number(text)
}
