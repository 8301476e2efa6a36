/** postbus migrate …: moving in from another mail system. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

import { CannotMove, StorageFull } from '@postbus/sql'

import { moveToCluster } from '../../adapters/cluster.ts'
import { NoMailThere } from '../../mailbox/mail.ts'
import { maildirSource } from '../../mailbox/maildir-source.ts'
import { carryOut } from '../../migrate/carry-out.ts'
import { tablesBelow } from '../../migrate/lookup-table.ts'
import { MainCf } from '../../migrate/main-cf.ts'
import { type PasswdEntry, passwdEntries } from '../../migrate/passwd-file.ts'
import type { NewAccount, Plan } from '../../migrate/plan.ts'
import { planOf } from '../../migrate/read-postfix.ts'
import {
  type Answer,
  type Command,
  type CommandContext,
  type LocalCommand,
  take,
  textOption,
  UsageError,
} from '../command.ts'
import { dataDirectory } from '../connect.ts'
import { importFrom, importRefusals } from '../import.ts'
import { facts, table } from '../table.ts'
import { openedAt } from './mailbox.ts'

interface Moved {
  address: string
  messages: number
  failed: string[]
}

export const migrateCommands: (Command | LocalCommand)[] = [
  {
    name: 'migrate cluster',
    refusals: [CannotMove, StorageFull],
    takes: '',
    summary: 'move a platform on one machine into the databases and stores of a cluster',
    details:
      'The platform of --data must not run, and of the cluster nothing but its databases, each migrated and unused, and its stores. Where they are\n' +
      'say the settings of its services: DIRECTORY_DATABASE, MAILSTORE_DATABASE, CUSTODY_DATABASE, DELIVERY_DATABASE, SPOOL, BLOBS and those of the\n' +
      'stores. Mailboxes keep UIDs and UIDVALIDITY. What waits in queues is published by custody when the cluster starts. Nothing is taken away from --data.',
    options: {
      'env-file': { type: 'string', help: 'NAME=value lines; what they do not say comes from the environment' },
    },
    async runLocally({ options, env, status }) {
      const file = textOption(options, 'env-file')
      const named = file === undefined ? {} : parseEnv(await text(file))
      const data = dataDirectory(textOption(options, 'data'))
      const value = await moveToCluster({ data, env: { ...env, ...named }, progress: status })
      status(null)
      const rows = Object.entries(value.tables).map(([owner, tables]) => [
        owner,
        tables.reduce((sum, { rows }) => sum + rows, 0),
      ])
      const { blobs, records, known } = value
      const bytes = facts({ 'large messages': blobs, 'were there': known, 'accepted messages': records })
      return { value, text: `${table(['tables of', 'rows'], rows)}\n\n${bytes}` }
    },
  },
  {
    name: 'migrate postfix',
    refusals: importRefusals,
    takes: '<directory>',
    summary: 'move in from Postfix and Dovecot: domains, accounts, aliases, ways out, mail',
    details:
      'The directory is that of main.cf, here or copied with what it names. Nothing in it is changed. Accounts come with their password\n' +
      'hashes, which become ours at the first login. Called again it takes what came meanwhile, and leaves what is here as it is.\n' +
      'What has no counterpart is named, with what to do about it; exit status 1 if there is any such thing.',
    options: {
      'passwd-file': { type: 'string', help: "Dovecot's passwd-file, or a shadow(5) file" },
      root: { type: 'string', help: 'where paths in main.cf begin, if the files are a copy (default /)' },
      maildir: {
        type: 'string',
        help: 'where the mail of an account is: %u its address, %n the local part, %d the domain; default: as the files say',
      },
      'without-mail': { type: 'boolean', help: 'domains, accounts, aliases and ways out only' },
      'dry-run': { type: 'boolean', help: 'only say what it would do' },
    },
    async run(context) {
      const { args, options, bus, status } = context
      const [directory] = take(args, '<directory>')
      const plan = await read(directory, context)
      if (options['dry-run'] === true) {
        const { accounts } = plan
        // Nobody's hash belongs on a terminal.
        const shown = accounts.map(({ password: _, passwordHash: __, ...account }) => account)
        return { value: { ...plan, accounts: shown }, text: describe(plan), incomplete: plan.remarks.length > 0 }
      }
      const result = await carryOut(plan, bus)
      const moved: Moved[] = []
      for (const [index, account] of options['without-mail'] === true ? [] : plan.accounts.entries()) {
        const mail = await move(account, `${index + 1}/${plan.accounts.length} ${account.address} `, context)
        if (mail !== null) moved.push(mail)
      }
      status(null)
      return answer(plan, result, moved)
    },
  },
]

async function read(directory: string, { options }: CommandContext): Promise<Plan> {
  const root = textOption(options, 'root') ?? '/'
  const config = new MainCf(await text(join(directory, 'main.cf')))
  const tables = tablesBelow(root)
  const file = textOption(options, 'passwd-file')
  const users: PasswdEntry[] = file === undefined ? [] : passwdEntries(lines(await text(file)))
  const plan = await planOf(config, users, tables)
  const template = textOption(options, 'maildir')
  return { ...plan, accounts: plan.accounts.map((account) => placed(account, template, root)) }
}

async function text(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`${file} cannot be read`, { cause })
  }
}

const lines = (content: string): string[] =>
  content.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'))

function placed(account: NewAccount, template: string | undefined, root: string): NewAccount {
  const { address, maildir } = account
  const at = address.lastIndexOf('@')
  const parts: Record<string, string> = { u: address, n: address.slice(0, at), d: address.slice(at + 1) }
  if (template !== undefined)
    return { ...account, maildir: template.replaceAll(/%([und])/g, (_, part: string) => parts[part] ?? '') }
  return maildir === undefined ? account : { ...account, maildir: join(root, maildir) }
}

/** @returns null where there is no mail */
async function move({ address, maildir }: NewAccount, label: string, context: CommandContext): Promise<Moved | null> {
  if (maildir === undefined) return null
  const source = await maildirSource(maildir).catch((error: unknown) => {
    // Who never got a message has no Maildir.
    if (error instanceof NoMailThere) return null
    throw error
  })
  if (source === null) return null
  const account = await openedAt(address, context)
  const call = { label, only: [], into: null, dryRun: false }
  const { mailboxes, failed } = await importFrom(source, account, call, context)
  return {
    address,
    messages: mailboxes.reduce((sum, { messages }) => sum + messages, 0),
    failed: failed.map(({ mailbox, key, reason }) => `${mailbox} ${key ?? ''}: ${reason}`),
  }
}

function describe({ domains, accounts, aliases, transports, remarks }: Plan): string {
  return [
    table(
      ['domain', 'kind', 'of', 'catch-all'],
      domains.map(({ domain, kind, target, catchAll }) => [domain, kind, target, catchAll]),
    ),
    table(
      ['account', 'password', 'mail'],
      accounts.map((account) => [account.address, passwordOf(account), account.maildir]),
    ),
    table(
      ['alias', 'kind', 'members'],
      aliases.map(({ address, kind, members }) => [address, kind, members]),
    ),
    table(
      ['transport', 'domain', 'sender', 'way'],
      transports.map(({ name, match, action }) => [name, match.domain, match.sender, action.kind]),
    ),
    ...remarked(remarks),
  ].join('\n\n')
}

/** What there is. Whether it will do, the directory says when it gets it. */
function passwordOf({ password, passwordHash }: NewAccount): string {
  if (password !== undefined) return 'in clear'
  return passwordHash === undefined ? 'none' : 'hash'
}

function answer(plan: Plan, { added, known, refused }: Awaited<ReturnType<typeof carryOut>>, moved: Moved[]): Answer {
  const failed = moved.flatMap(({ address, failed }) => failed.map((reason) => `${address}: ${reason}`))
  const rows = (['domain', 'account', 'alias', 'transport'] as const).map((kind) => [kind, added[kind], known[kind]])
  const mail = moved.map(({ address, messages }) => [address, messages])
  return {
    value: { added, known, refused, moved, remarks: plan.remarks },
    text: [
      table(['', 'added', 'were there'], rows),
      ...(mail.length > 0 ? [table(['account', 'messages'], mail)] : []),
      ...(refused.length > 0 ? [`not as planned:\n  ${refused.join('\n  ')}`] : []),
      ...(failed.length > 0 ? [`not taken:\n  ${failed.join('\n  ')}`] : []),
      ...remarked(plan.remarks),
    ].join('\n\n'),
    incomplete: plan.remarks.length + refused.length + failed.length > 0,
  }
}

const remarked = (remarks: readonly string[]): string[] =>
  remarks.length === 0 ? [] : [`does not come along:\n  ${remarks.join('\n  ')}`]
