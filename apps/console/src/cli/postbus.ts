/** One call of `postbus`: finds the command, connects, runs it, says what came of it. */
import { parseArgs } from 'node:util'

import { BusUnavailable, RequestRefused } from '@postbus/bus'
import { DataDirectoryInUse } from '@postbus/profile'
import { StorageBusy, StorageFailed } from '@postbus/sql'
import { z } from 'zod'

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

type AnyCommand = Command | LocalCommand

/** By the first word of their names: a call loads only what it needs. In the order of `postbus --help`. */
const families: Readonly<Record<string, () => Promise<readonly AnyCommand[]>>> = {
  domain: async () => (await import('./commands/domain.ts')).domainCommands,
  dkim: async () => (await import('./commands/dkim.ts')).dkimCommands,
  account: async () => (await import('./commands/account.ts')).accountCommands,
  alias: async () => (await import('./commands/alias.ts')).aliasCommands,
  group: async () => (await import('./commands/alias.ts')).groupCommands,
  list: async () => (await import('./commands/alias.ts')).listCommands,
  mailbox: async () => (await import('./commands/mailbox.ts')).mailboxCommands,
  migrate: async () => (await import('./commands/migrate.ts')).migrateCommands,
  queue: async () => (await import('./commands/queue.ts')).queueCommands,
  transport: async () => (await import('./commands/transport.ts')).transportCommands,
  dead: async () => (await import('./commands/dead.ts')).deadCommands,
  where: async () => [(await import('./commands/where.ts')).whereCommand],
  trace: async () => [(await import('./commands/trace.ts')).traceCommand],
  books: async () => [(await import('./commands/books.ts')).booksCommand],
  status: async () => [(await import('./commands/status.ts')).statusCommand],
  doctor: async () => [(await import('./commands/doctor.ts')).doctorCommand],
  'log-level': async () => [(await import('./commands/log-level.ts')).logLevelCommand],
  backup: async () => [(await import('./commands/backup.ts')).backupCommand],
  restore: async () => [(await import('./commands/backup.ts')).restoreCommand],
}

/** @returns the exit status */
export async function postbus(words: readonly string[], around: Surroundings): Promise<number> {
  const argv = commandFirst(words)
  const [family = ''] = argv
  const related = Object.hasOwn(families, family) ? ((await families[family]?.()) ?? []) : []
  const command = related.find(({ name }) => name === argv.slice(0, wordsOf(name)).join(' '))
  if (command === undefined) return await explainCommands(argv, around)
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
    const { status, text } = explain(error, command)
    around.stderr.write(`postbus ${command.name}: ${text}\n`)
    return status
  }
}

/** `postbus --data DIR domain list` is `postbus domain list --data DIR`. */
function commandFirst(words: readonly string[]): readonly string[] {
  const [first = '', ...rest] = words
  if (first === '--data') return [...commandFirst(rest.slice(1)), ...words.slice(0, 2)]
  if (first === '--json' || first.startsWith('--data=')) return [...commandFirst(rest), first]
  return words
}

async function run(
  command: AnyCommand,
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
async function explainCommands(argv: readonly string[], { stdout, stderr }: Surroundings): Promise<number> {
  const commands = (await Promise.all(Object.values(families).map((load) => load()))).flat()
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

function explain(error: unknown, { refusals = [] }: Described): { status: number; text: string } {
  if (error instanceof UsageError) return { status: CALLED_WRONGLY, text: `${error.message} (--help shows how)` }
  // What the contract itself does not allow never left this process.
  if (error instanceof z.ZodError) return { status: CALLED_WRONGLY, text: z.prettifyError(error) }
  if (error instanceof RequestRefused) return { status: REFUSED, text: `${error.message} (${error.code})` }
  if ([DataDirectoryInUse, ...refusals].some((kind) => error instanceof kind))
    return { status: REFUSED, text: textOf(error) }
  if (error instanceof NotRunning || error instanceof BusUnavailable)
    return { status: EX_UNAVAILABLE, text: error.message }
  if (error instanceof StorageBusy || error instanceof StorageFailed)
    return { status: EX_UNAVAILABLE, text: textOf(error) }
  // Of a file or directory that was named: the system says which, and what is wrong with it.
  if (error instanceof Error && 'path' in error && 'errno' in error) return { status: REFUSED, text: error.message }
  return { status: EX_SOFTWARE, text: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** With what lies beneath it: of a failed copy that is the file system's own word. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, cause } = error
  return cause instanceof Error && !message.endsWith(cause.message) ? `${message}: ${cause.message}` : message
}
