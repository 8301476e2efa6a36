/** One call of `postbus`: finds the command, connects, runs it, says what came of it. */
import { parseArgs } from 'node:util'

import { BusUnavailable, RequestRefused } from '@postbus/bus'
import { DataDirectoryInUse } from '@postbus/profile'
import { CannotMove, StorageFull } from '@postbus/sql'
import { z } from 'zod'

import { BackupDamaged } from '../backup/manifest.ts'
import { OtherJournal } from '../mailbox/journal.ts'
import { MessageUnreadable, NoMailThere } from '../mailbox/mail.ts'
import { DirectoryNotEmpty } from '../backup/restore-backup.ts'
import { BackupImpossible } from '../backup/take-backup.ts'
import {
  type Answer,
  checkArguments,
  type Command,
  type Described,
  type LocalCommand,
  type OptionValues,
  textOption,
  UsageError,
} from './command.ts'
import { accountCommands } from './commands/account.ts'
import { aliasCommands, groupCommands, listCommands } from './commands/alias.ts'
import { backupCommands } from './commands/backup.ts'
import { booksCommand } from './commands/books.ts'
import { deadCommands } from './commands/dead.ts'
import { dkimCommands } from './commands/dkim.ts'
import { doctorCommand } from './commands/doctor.ts'
import { domainCommands } from './commands/domain.ts'
import { logLevelCommand } from './commands/log-level.ts'
import { mailboxCommands } from './commands/mailbox.ts'
import { migrateCommands } from './commands/migrate.ts'
import { queueCommands } from './commands/queue.ts'
import { statusCommand } from './commands/status.ts'
import { traceCommand } from './commands/trace.ts'
import { transportCommands } from './commands/transport.ts'
import { whereCommand } from './commands/where.ts'
import { connectOperator, NotRunning } from './connect.ts'
import { commandHelp, generalHelp } from './help.ts'
import { statusLine, type Stderr } from './status-line.ts'

/** What a call sees of its process. */
export interface Surroundings {
  env: NodeJS.ProcessEnv
  stdout: { write(text: string): unknown }
  stderr: Stderr
}

const REFUSED = 1
const CALLED_WRONGLY = 2
const EX_UNAVAILABLE = 69
const EX_SOFTWARE = 70

const commands: readonly (Command | LocalCommand)[] = [
  ...domainCommands,
  ...dkimCommands,
  ...accountCommands,
  ...aliasCommands,
  ...groupCommands,
  ...listCommands,
  ...mailboxCommands,
  ...migrateCommands,
  ...queueCommands,
  ...transportCommands,
  ...deadCommands,
  whereCommand,
  traceCommand,
  booksCommand,
  statusCommand,
  doctorCommand,
  logLevelCommand,
  ...backupCommands,
]

/** @returns the exit status */
export async function postbus(argv: readonly string[], around: Surroundings): Promise<number> {
  const command = commands.find(({ name }) => name === argv.slice(0, wordsOf(name)).join(' '))
  if (command === undefined) return explainCommands(argv, around)
  try {
    const { args, options } = parse(command, argv.slice(wordsOf(command.name)))
    if (options['help']) {
      around.stdout.write(commandHelp(command))
      return 0
    }
    // Before anybody is asked: a call that is wrong is wrong without a bus too.
    checkArguments(args, command.takes)
    const answer = await run(command, args, options, around)
    if (!answer.silent)
      around.stdout.write(options['json'] ? `${JSON.stringify(answer.value, null, 2)}\n` : `${answer.text}\n`)
    return answer.status ?? (answer.incomplete ? REFUSED : 0)
  } catch (error) {
    const { status, text } = explain(error)
    around.stderr.write(`postbus ${command.name}: ${text}\n`)
    return status
  }
}

async function run(
  command: Command | LocalCommand,
  args: string[],
  options: OptionValues,
  { env, stdout, stderr }: Surroundings,
): Promise<Answer> {
  const progress = (text: string): void => void stderr.write(`${text}\n`)
  const print = (line: string): void => void stdout.write(`${line}\n`)
  const context = { args, options, by: callerOf(env), print, progress, status: statusLine(stderr), env }
  if ('runLocally' in command) return command.runLocally(context)
  const bus = await connectOperator(textOption(options, 'data'), env)
  try {
    return await command.run({ ...context, bus })
  } finally {
    await bus.close()
  }
}

/** The name by which the caller's system knows the caller; the bus knows only the operator's key. */
const callerOf = ({ USER, LOGNAME }: NodeJS.ProcessEnv): string =>
  `postbus ${USER ?? LOGNAME ?? ''}`.trim().slice(0, 200)

const wordsOf = (name: string): number => name.split(' ').length

/** `postbus`, `postbus account`, `postbus account --help`, and names that are none. */
function explainCommands(argv: readonly string[], { stdout, stderr }: Surroundings): number {
  const words = argv.filter((word) => !word.startsWith('-') && word !== 'help')
  const about = commands.filter(({ name }) => words.every((word, index) => name.split(' ')[index] === word))
  const asked = words.length === 0 || argv.length > words.length
  if (about.length === 0) {
    stderr.write(`postbus: there is no command '${words.join(' ')}' (postbus --help names all)\n`)
    return CALLED_WRONGLY
  }
  const help = generalHelp(about)
  if (asked) stdout.write(help)
  else stderr.write(help)
  return asked ? 0 : CALLED_WRONGLY
}

function parse(command: Described, args: readonly string[]): { args: string[]; options: OptionValues } {
  const own = Object.entries(command.options ?? {}).map(([name, { help: _, ...option }]) => [name, option] as const)
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(own),
        data: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    // parseArgs knows only the options written out here; a command's own are strings, switches and lists of strings too.
    return { args: positionals, options: values as OptionValues }
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function explain(error: unknown): { status: number; text: string } {
  if (error instanceof UsageError) return { status: CALLED_WRONGLY, text: `${error.message} (--help shows how)` }
  // What the contract itself does not allow never left this process.
  if (error instanceof z.ZodError) return { status: CALLED_WRONGLY, text: z.prettifyError(error) }
  if (error instanceof RequestRefused) return { status: REFUSED, text: `${error.message} (${error.code})` }
  if (refusals.some((kind) => error instanceof kind)) return { status: REFUSED, text: textOf(error) }
  if (error instanceof NotRunning || error instanceof BusUnavailable)
    return { status: EX_UNAVAILABLE, text: error.message }
  return { status: EX_SOFTWARE, text: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

const refusals = [
  ...[CannotMove, BackupDamaged, BackupImpossible, DataDirectoryInUse, DirectoryNotEmpty, StorageFull],
  ...[MessageUnreadable, NoMailThere, OtherJournal],
]

/** With what lies beneath it: of a failed copy that is the file system's own word. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
