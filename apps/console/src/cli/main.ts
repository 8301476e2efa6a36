/**
 * NAME
 *   postbus — manage a running platform
 * EXIT STATUS
 *   0 done; 1 refused, with the reason; 2 called wrongly; 69 nobody answers
 */
import { parseArgs } from 'node:util'

import { BusUnavailable, RequestRefused } from '@postbus/bus'

import { UsageError, type Command, type OptionValues } from './command.ts'
import { accountCommands } from './commands/account.ts'
import { aliasCommands } from './commands/alias.ts'
import { domainCommands } from './commands/domain.ts'
import { whereCommand } from './commands/where.ts'
import { connectOperator, NotRunning } from './connect.ts'
import { commandHelp, generalHelp } from './help.ts'

const commands: Command[] = [...domainCommands, ...accountCommands, ...aliasCommands, whereCommand]

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  const command = commands.find(({ name }) => name === argv.slice(0, name.split(' ').length).join(' '))
  if (command === undefined) {
    const asked = argv.length === 0 || argv.includes('--help') || argv.includes('-h')
    ;(asked ? process.stdout : process.stderr).write(generalHelp(commands))
    return asked ? 0 : 2
  }
  try {
    const { args, options } = parse(command, argv.slice(command.name.split(' ').length))
    if (options['help']) {
      process.stdout.write(commandHelp(command))
      return 0
    }
    const data = options['data']
    await using stack = new AsyncDisposableStack()
    const bus = await connectOperator(typeof data === 'string' ? data : undefined, process.env)
    stack.defer(() => bus.close())
    const { value, text } = await command.run({ bus, args, options })
    process.stdout.write(options['json'] ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`)
    return 0
  } catch (error) {
    return explain(error, command)
  }
}

function parse(command: Command, args: string[]): { args: string[]; options: OptionValues } {
  const own = Object.entries(command.options ?? {}).map(([name, { help: _, ...option }]) => [name, option] as const)
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...Object.fromEntries(own),
        data: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return { args: positionals, options: values as OptionValues }
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function explain(error: unknown, command: Command): number {
  const say = (text: string): void => void process.stderr.write(`postbus ${command.name}: ${text}\n`)
  if (error instanceof UsageError) {
    say(`${error.message} (--help shows how)`)
    return 2
  }
  if (error instanceof RequestRefused) {
    say(`${error.message} (${error.code})`)
    return 1
  }
  if (error instanceof NotRunning || error instanceof BusUnavailable) {
    say(error.message)
    return 69
  }
  throw error
}
