#!/usr/bin/env node
/**
 * smtp-sink — the sink of the tests as a process of its own, so that a scenario can load it, stop it or kill it.
 *
 *   node libs/testkit/bin/smtp-sink.ts --port 2525 --digests --delay-ms 30000
 *
 * Prints one JSON object a line: `listening` with the port, `message` for each one taken (`--quiet`: not), `stopped` with the totals
 * after SIGINT or SIGTERM. What it does by local part: src/smtp-sink/behaviours.ts.
 */
import { parseArgs } from 'node:util'

import type { SinkMessage, SinkOptions, Verb } from '../src/smtp-sink/options.ts'
import { openSmtpSink } from '../src/smtp-sink/sink.ts'

const VERBS: readonly Verb[] = [
  'connect',
  'EHLO',
  'HELO',
  'LHLO',
  'AUTH',
  'STARTTLS',
  'MAIL',
  'RCPT',
  'DATA',
  'RSET',
  'NOOP',
  'QUIT',
]

const { values } = parseArgs({
  options: {
    host: { type: 'string' },
    port: { type: 'string' },
    name: { type: 'string' },
    extensions: { type: 'string' },
    greeting: { type: 'string' },
    silent: { type: 'boolean' },
    'helo-only': { type: 'boolean' },
    'greeting-delay-ms': { type: 'string' },
    'delay-ms': { type: 'string' },
    'slow-ms': { type: 'string' },
    'max-recipients': { type: 'string' },
    'max-size': { type: 'string' },
    'drop-at': { type: 'string' },
    digests: { type: 'boolean' },
    quiet: { type: 'boolean' },
  },
})

function number(
  name: 'port' | 'greeting-delay-ms' | 'delay-ms' | 'slow-ms' | 'max-recipients' | 'max-size',
): number | undefined {
  const text = values[name]
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text)) fail(`--${name} takes a number, not ${text}`)
  return Number(text)
}

function verb(): Verb | undefined {
  const text = values['drop-at']
  return text === undefined
    ? undefined
    : (VERBS.find((known) => known === text) ?? fail(`--drop-at takes one of ${VERBS.join(' ')}`))
}

function fail(words: string): never {
  process.stderr.write(`smtp-sink: ${words}\n`)
  process.exit(64)
}

const print = (fact: string, facts: object): void => {
  process.stdout.write(`${JSON.stringify({ fact, ...facts })}\n`)
}
const told = ({ data: _, ...facts }: SinkMessage): void => print('message', facts)

const given: { [Option in keyof SinkOptions]: SinkOptions[Option] | undefined } = {
  ...{ host: values.host, name: values.name, heloOnly: values['helo-only'] },
  greeting: values.silent ? null : values.greeting?.replaceAll('\\n', '\n'),
  extensions: values.extensions?.split(',').filter(Boolean),
  keep: values.digests ? 'digests' : 'messages',
  ...{ port: number('port'), slowMs: number('slow-ms'), delayMs: number('delay-ms'), dropAt: verb() },
  ...{
    maxSize: number('max-size'),
    maxRecipients: number('max-recipients'),
    greetingDelayMs: number('greeting-delay-ms'),
  },
  onMessage: values.quiet ? undefined : told,
}
const options: SinkOptions = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
const sink = await openSmtpSink(options)
print('listening', { host: sink.host, port: sink.port })

const stop = async (): Promise<void> => {
  await sink.close()
  const { messages, sessions, mostOpen, counts } = sink
  print('stopped', { messages: messages.length, sessions, mostOpen, counts })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
