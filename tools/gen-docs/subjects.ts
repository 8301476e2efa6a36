/** docs/subjects.md: everything that is said on the bus, from libs/contracts. */
import {
  contracts,
  streams,
  type EventContract,
  type HintContract,
  type RequestContract,
  type RowsContract,
  type StreamContract,
  type SurveyContract,
} from '@postbus/contracts'

const ofKind = <K extends (typeof contracts)[number]['kind']>(kind: K) =>
  contracts.filter((contract): contract is Extract<(typeof contracts)[number], { kind: K }> => contract.kind === kind)

const row = (...cells: string[]): string => `| ${cells.join(' | ')} |\n`
const code = (text: string): string => `\`${text}\``
const schemaLink = (name: string): string => `[schema](schemas/${fileName(name)})`

export const fileName = (name: string): string => `${name.replaceAll(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '')}.json`

export function subjectsPage(): string {
  return `# Subjects

Generated from \`libs/contracts\` by \`tools/gen-docs\`; do not edit. Publishers parse before sending, readers parse on
arrival and ignore keys they do not know. An optional key may join \`v1\`; anything else is \`v2\` beside it until the last
reader moved.

## Streams

${row('stream', 'subjects', 'retention', 'limit', 'holds')}${row('---', '---', '---', '---', '---')}${Object.values(streams).map(streamRow).join('')}
## Events

Durable, at least once. Two events with the same message id are the same message.

${row('event', 'subject', 'from', 'to', 'what it says', '')}${row('---', '---', '---', '---', '---', '---')}${ofKind('event').map(eventRow).join('')}
## Requests

Answered once, or refused with one of the codes named; \`rows\` are answered in pieces, with credit.

${row('request', 'asked by', 'time', 'refusals', 'what for', '')}${row('---', '---', '---', '---', '---', '---')}${[...ofKind('request'), ...ofKind('rows')].map(requestRow).join('')}
## Surveys

Put to every copy of every service; each answers for itself.

${row('survey', 'asked by', 'what for', '')}${row('---', '---', '---', '---')}${ofKind('survey').map(surveyRow).join('')}
## Hints

Sent once, perhaps lost. Readers ask again.

${row('hint', 'subject', 'from', 'to', 'what it says', '')}${row('---', '---', '---', '---', '---', '---')}${ofKind('hint').map(hintRow).join('')}`
}

function streamRow({ name, sharded, subjects, retention, maxBytes, schedules, purpose }: StreamContract): string {
  const limit = maxBytes === null ? (schedules ? "the account's" : 'none') : `${maxBytes / 1024 ** 2} MiB, then refused`
  const kept = retention === 'work' ? 'until acknowledged' : 'until removed'
  return row(sharded ? `${name}_{shard}` : name, subjects.map(code).join('<br>'), kept, limit, purpose)
}

function eventRow({ name, pattern, producers, consumers, purpose }: EventContract): string {
  const readers = consumers.map(({ party, durable }) => `${party} (${durable})`).join(', ')
  return row(name, code(pattern), producers.join(', '), readers || 'operators', purpose, schemaLink(name))
}

function requestRow({
  kind,
  name,
  subject,
  askers,
  timeoutMs,
  refusals,
  purpose,
}: RequestContract | RowsContract): string {
  const title = kind === 'rows' ? `${code(subject)} rows` : code(subject)
  return row(title, askers.join(', '), `${timeoutMs / 1000} s`, refusals.join(', ') || '–', purpose, schemaLink(name))
}

function surveyRow({ name, subject, askers, purpose }: SurveyContract): string {
  return row(code(subject), askers.join(', '), purpose, schemaLink(name))
}

function hintRow({ name, pattern, producers, consumers, purpose }: HintContract): string {
  return row(name, code(pattern), producers.join(', '), consumers.join(', '), purpose, schemaLink(name))
}
