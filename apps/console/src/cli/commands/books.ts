/** postbus books: whether every recipient accepted is somewhere. */
import { balanceBooks, type BooksBalance } from '@postbus/contracts'

import type { Command } from '../command.ts'
import { table } from '../table.ts'

const OUT_OF_BALANCE = 1

export const booksCommand: Command = {
  name: 'books',
  takes: '',
  summary: 'whether every recipient accepted is somewhere; exit status 1 if not',
  details:
    'accepted + added − merged = delivered + relayed + failed + discarded + cancelled + pending, over everything still in the\nhistory. The left side is what envelopes and the router said, the right side what the books hold now.',
  async run({ bus }) {
    const value = await bus.request(balanceBooks, {})
    const balanced = Object.values(value.differences).every((difference) => difference === 0)
    return { value, text: textOf(value), ...(!balanced && { status: OUT_OF_BALANCE }) }
  },
}

function textOf(balance: BooksBalance): string {
  const { since, accepted, added, merged, failed, pending, differences } = balance
  const { delivered, relayed, discarded, cancelled } = balance
  const sum = accepted + added - merged
  const rows = [
    ['accepted', accepted],
    ['+ added by expansion', added],
    ['− merged', merged],
    ['= to account for', sum],
    ['delivered', delivered],
    ['relayed', relayed],
    ['failed', failed.total, failuresOf(failed)],
    ['discarded by a rule', discarded],
    ['cancelled', cancelled],
    ['pending: not yet routed', pending.notYetRouted],
    ['pending: queued', pending.queued],
    ['pending: held', pending.held],
    ['pending: dead', pending.dead],
    ['= accounted for', sum - differences.recipients],
  ]
  const width = Math.max(...rows.map(([, count]) => String(count).length))
  const aligned = rows.map(([name, count, remark]) => [name, String(count).padStart(width), remark])
  const period =
    since === undefined ? 'no message in the history' : `everything in the history, accepted since ${since}`
  return `${table(['recipients', '', ''], aligned)}\n\n${verdict(differences)}; ${period}`
}

function failuresOf({ total, reported, reportPending, unreported }: BooksBalance['failed']): string {
  if (total === 0) return ''
  return [
    `${reported} reported`,
    `${reportPending} report pending`,
    ...unreported.map(({ reason, recipients }) => `${recipients} no report: ${reason}`),
  ].join(', ')
}

function verdict(differences: BooksBalance['differences']): string {
  const wrong = Object.entries(differences).filter(([, difference]) => difference !== 0)
  if (wrong.length === 0) return 'balanced'
  const said = wrong.map(([of, by]) => `${of}: ${Math.abs(by)} ${by > 0 ? 'missing' : 'too many'}`)
  return `NOT BALANCED: ${said.join(', ')}`
}
