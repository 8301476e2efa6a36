/** Help texts, made from the commands themselves. */
import type { Described } from './command.ts'

const COMMON = `  --data DIR   data directory of an embedded profile (default: NATS_URL and NATS_NKEY_FILE, else ./data of the checkout)
  --json       the answer as JSON
  --help`

export function generalHelp(commands: readonly Described[]): string {
  const usages = commands.map(({ name, takes }) => `postbus ${name} ${takes}`.trimEnd())
  const width = Math.max(...usages.map((usage) => usage.length))
  const lines = commands.map(({ summary }, index) => `  ${(usages[index] ?? '').padEnd(width)}  ${summary}`)
  return `Manage a running Postbus.\n\n${lines.join('\n')}\n\nEvery command takes\n${COMMON}\n`
}

export function commandHelp({ name, takes, summary, details, options = {} }: Described): string {
  const own = Object.entries(options).map(([option, { type, help }]) => {
    const usage = type === 'boolean' ? `--${option}` : `--${option} …`
    return `  ${usage.padEnd(24)} ${help}\n`
  })
  const more = details === undefined ? '' : `\n${details}\n`
  return `postbus ${name} ${takes}\n\n${summary}\n${more}\n${own.join('')}${COMMON}\n`
}
