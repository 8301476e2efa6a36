/** postbus dead …: tasks that no service could handle, shown, driven once more, dropped. */
import type { Bus } from '@postbus/bus'
import {
  actOnDead,
  type DeadAct,
  type DeadLetter,
  DeadLetterId,
  type DeadResult,
  listDead,
  MAX_LETTERS_PER_ACT,
  MAX_SHOWN_PAYLOAD,
  QueueId,
  showDead,
} from '@postbus/contracts'

import { type Answer, type Command, type CommandContext, textOption, UsageError } from '../command.ts'
import { facts, table } from '../table.ts'

const LIST_LIMIT = 1000
const MOST = 100_000
/** What a line of a list shows of why. */
const MAX_DETAIL = 80

export const deadCommands: Command[] = [
  {
    name: 'dead list',
    takes: '',
    summary: 'tasks that no service could handle',
    options: { limit: { type: 'string', help: `how many at most (default ${LIST_LIMIT})` } },
    async run({ bus, options }) {
      const text = textOption(options, 'limit') ?? String(LIST_LIMIT)
      const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
      if (limit < 1 || limit > MOST) throw new UsageError(`--limit is a number from 1 to ${MOST}, not ${text}`)
      const value = await letters(bus, limit)
      const rows = value.map(({ id, forwardPath, state, copies: [copy] }) => [
        ...[id, forwardPath, state, copy?.stream, copy?.reason ?? 'lost by the bus', copy?.at],
        copy?.detail.split('\n')[0]?.slice(0, MAX_DETAIL),
      ])
      return { value, text: table(['id', 'recipient', 'state', 'stream', 'reason', 'since', 'detail'], rows) }
    },
  },
  {
    name: 'dead show',
    takes: '<id>',
    summary: 'one of them, with what was in it',
    async run({ bus, args }) {
      const [letter] = await chosen(bus, args)
      if (letter === undefined) throw new UsageError('a dead letter is named by its id')
      const value = await bus.request(showDead, { id: letter.id })
      const { id, reversePath, forwardPath, state } = value.letter
      const head = facts({ id, from: path(reversePath), recipient: forwardPath, state })
      const copies = value.letter.copies.map(({ stream, sequence, reason, detail, subject, at }, index) => {
        const { headers = {}, payload = '' } = value.contents[index] ?? {}
        const named = Object.entries(headers).map(([name, values]) => `  ${name}: ${values.join(', ')}`)
        const about = facts({ 'set aside': at, reason, stream, sequence, subject })
        const more = payload.length >= MAX_SHOWN_PAYLOAD ? ' …' : ''
        return [about, detail, ...named, '', `${payload}${more}`].join('\n').replaceAll(/[^\P{Cc}\n]/gu, '?')
      })
      return { value, text: [head, ...copies].join('\n\n') }
    },
  },
  acting('retry', {
    summary: 'make the task again and send it on its way',
    details:
      'After the cause is gone: an upgrade, a repaired file. The task is made again from the books; an accepted message that was never\nrouted comes from the spool.',
    act: () => ({ kind: 'retry' }),
  }),
  acting('drop', {
    summary: 'end its recipient here, and forget it',
    details: 'Without --report the recipient is cancelled and nobody is told.',
    options: { report: { type: 'boolean', help: 'tell the sender that it could not be delivered' } },
    act: (options) => ({ kind: 'drop', report: options['report'] === true }),
  }),
]

function acting(
  verb: string,
  {
    summary,
    details,
    options,
    act,
  }: Pick<Command, 'summary' | 'details' | 'options'> & { act(options: CommandContext['options']): DeadAct },
): Command {
  return {
    name: `dead ${verb}`,
    takes: '[<id>]',
    summary,
    ...(details !== undefined && { details }),
    options: { ...options, all: { type: 'boolean', help: 'all of them' } },
    async run({ bus, args, options: given, by }): Promise<Answer> {
      if ((args.length === 1) === (given['all'] === true)) throw new UsageError('name one by its id, or say --all')
      const about = given['all'] === true ? await letters(bus, MOST) : await chosen(bus, args)
      const value: { id: string; result: DeadResult }[] = []
      for (let from = 0; from < about.length; from += MAX_LETTERS_PER_ACT) {
        const ids = about.slice(from, from + MAX_LETTERS_PER_ACT).map(({ id }) => id)
        const { results } = await bus.request(actOnDead, { act: act(given), by, ids })
        for (const [index, result] of results.entries()) value.push({ id: ids[index] ?? '', result })
      }
      const rows = value.map(({ id, result }) => [id, MEANING[result]])
      const incomplete = value.some(({ result }) => result !== 'done' && result !== 'ended')
      return { value, text: rows.length === 0 ? 'nothing is dead' : table(['id', 'result'], rows), incomplete }
    },
  }
}

const MEANING: Record<DeadResult, string> = {
  done: 'done',
  ended: 'its recipient had ended already; taken away',
  unknown: 'nothing of this name is dead any more',
  unreadable: 'cannot be made again: the books do not know what it was about; it can be dropped',
  noRecord: 'its spool record is gone; it can be dropped',
  moved: 'something else happened to it at this moment; try again',
}

/** One by its id, or all of one message by its queue id. */
async function chosen(bus: Bus, [name = '']: readonly string[]): Promise<Pick<DeadLetter, 'id'>[]> {
  const queueId = QueueId.safeParse(name.toUpperCase())
  if (!queueId.success) {
    if (!DeadLetterId.safeParse(name).success) throw new UsageError(`not the id of a dead letter: ${name}`)
    return [await found(bus, name)]
  }
  const about = (await letters(bus, MOST)).filter(({ id }) => id.startsWith(`${queueId.data}.`))
  if (about.length === 0) throw new UsageError(`nothing of ${queueId.data} is dead`)
  return about
}

const found = async (bus: Bus, id: string): Promise<DeadLetter> => (await bus.request(showDead, { id })).letter

async function letters(bus: Bus, limit: number): Promise<DeadLetter[]> {
  return (await Array.fromAsync(bus.rows(listDead, { limit }))).map(({ row }) => row)
}

const path = (text: string | undefined): string | undefined => (text === '' ? '<>' : text)
