/** Taking the mail of a source into an account, with the journal that lets it be called again. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

import type { Mailboxes } from '../adapters/mailboxes.ts'
import { type Imported, importMail, type ImportOptions, NoSuchMailbox } from '../mailbox/import-mail.ts'
import { Journal, OtherJournal } from '../mailbox/journal.ts'
import { type MailSource, MessageUnreadable, NoMailThere, OtherForm } from '../mailbox/mail.ts'
import type { CommandContext } from './command.ts'
import { bar } from './status-line.ts'
import { bytes } from './table.ts'

export interface ImportCall extends Omit<ImportOptions, 'onProgress'> {
  /** Of what was taken; absent: the one of this source and account. */
  journal?: string
  /** What progress is that of. */
  label?: string
}

/** Of every command that takes mail from somewhere. */
export const importRefusals = [MessageUnreadable, NoMailThere, NoSuchMailbox, OtherForm, OtherJournal]

/** Closes the source. @returns with the path of the journal */
export async function importFrom(
  source: MailSource,
  account: Mailboxes,
  { journal: named, label = '', ...options }: ImportCall,
  { env, status }: Pick<CommandContext, 'env' | 'status'>,
): Promise<Imported & { journal: string }> {
  try {
    const of = { source: source.id, account: account.account }
    const path = named ?? journalPath(of, env)
    const journal = options.dryRun && !existsSync(path) ? null : await Journal.open(path, of)
    try {
      const value = await importMail(source, account, journal, {
        ...options,
        onProgress: ({ mailbox, done, total, bytes: octets }) =>
          status(`${label}${bar(done, total)}  ${bytes(octets)}  ${mailbox}`),
      })
      status(null)
      return { ...value, journal: path }
    } finally {
      await journal?.close()
    }
  } finally {
    await source.close()
  }
}

/** One that does not change as long as source and account do not. */
function journalPath({ source, account }: { source: string; account: string }, env: NodeJS.ProcessEnv): string {
  const state = env['XDG_STATE_HOME'] ?? join(env['HOME'] ?? homedir(), '.local', 'state')
  const name = createHash('sha256').update(`${account}\0${source}`).digest('hex').slice(0, 16)
  return join(state, 'postbus', `import-${name}.jsonl`)
}
