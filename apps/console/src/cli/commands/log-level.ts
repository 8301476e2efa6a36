/** postbus log-level: more log lines of one service for a while, or fewer; without a restart. */
import { LogLevel, serviceNames, setLogLevel } from '@postbus/contracts'

import { type Command, take, textOption, UsageError } from '../command.ts'
import { table } from '../table.ts'

const DEFAULT_FOR = '10m'
const SECONDS = { s: 1, m: 60, h: 3600 }
const NOBODY = 1

export const logLevelCommand: Command = {
  name: 'log-level',
  takes: '<service> <level>',
  summary: 'have a service write more log lines, or fewer, for a while',
  details: `Levels: ${LogLevel.options.join(', ')}; \`default\` is what its settings say. Every copy of the service does so, until the time is\nup, it is told otherwise, or it is started anew.`,
  options: { for: { type: 'string', help: `how long: 30s, 10m, 2h, at most 24h (${DEFAULT_FOR})` } },
  async run({ bus, args, options, by }) {
    const [name, word] = take(args, '<service>', '<level>')
    const service = serviceNames.find((known) => known === name)
    if (service === undefined) throw new UsageError(`a service is one of ${serviceNames.join(', ')}, not ${name}`)
    const level = word === 'default' ? null : LogLevel.safeParse(word).data
    if (level === undefined) throw new UsageError(`a level is one of ${LogLevel.options.join(', ')}, not ${word}`)
    const forSeconds = secondsIn(textOption(options, 'for') ?? DEFAULT_FOR)
    const value = await bus.survey(setLogLevel, { service, level, forSeconds, by })
    if (value.length === 0) return { value, text: `no copy of ${service} answers`, status: NOBODY }
    return {
      value,
      text: table(
        ['instance', 'level'],
        value.map((one) => [one.instance, one.level]),
      ),
    }
  },
}

function secondsIn(text: string): number {
  const [, digits, unit] = /^(\d{1,5})([smh])$/.exec(text) ?? []
  const seconds = Number(digits) * SECONDS[unit === 'h' || unit === 'm' ? unit : 's']
  if (digits === undefined || seconds < 1 || seconds > 24 * SECONDS.h) {
    throw new UsageError(`--for is a time like 30s, 10m or 2h, at most 24h, not ${text}`)
  }
  return seconds
}
