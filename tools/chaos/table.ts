/** docs/chaos.md: what a run of the scenarios found, and when and on what it ran. */
import { cpus, totalmem, type } from 'node:os'

import { mutations } from './mutations.ts'
import type { Scenario } from './scenarios.ts'

export interface Run {
  scenario: Scenario
  passed: boolean
  facts: ReadonlyMap<string, number | null>
  seconds: number
}

export interface Circumstances {
  at: Date
  form: 'long' | 'short'
  /** Where the moments and victims were drawn from; the scenarios' own without it. */
  seed: string | undefined
}

const GIB = 1024 ** 3

/** Columns that most scenarios have; what else one says of itself stands in the last. */
const COLUMNS = ['faults', 'accepted', 'delivered', 'missing', 'duplicated', 're-injected', 'recovery (ms)']

export function tableOf(runs: readonly Run[], { at, form, seed }: Circumstances): string {
  const [processor] = cpus()
  const lines = runs.map(({ scenario, passed, facts, seconds }) => {
    const numbers = COLUMNS.map((column) => cell(facts, column))
    const others = [...facts].filter(([fact]) => !COLUMNS.includes(fact)).map(([fact, number]) => `${fact} ${number}`)
    return [scenario.name, scenario.fault, passed ? 'passed' : '**failed**', ...numbers, seconds, others.join(', ')]
  })
  const heads = ['scenario', 'fault', '', ...COLUMNS, 'took (s)', 'and']
  const rows = [heads, heads.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`)
  return `# What the faults found

Written by \`npm run chaos -- ${form === 'short' ? '--all --short' : '--all'} --table\`; do not edit. The ${form} form of each scenario, ${at.toISOString().slice(0, 16)}Z, on
${cpus().length} × ${processor?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / GIB)} GiB, ${type()}, Node ${process.versions.node}, seed ${seed ?? 'of the scenarios'}.

Every 250 is noted by the client, on disk, outside the platform; *missing* and *duplicated* are found by comparing that with the mailboxes,
read over IMAP, and with the next hop. *Recovery* is from the end of the last fault until everything was there. A peer outside gets a second
copy only where a process died between the peer's 250 and the ledger (RFC 1047), or the answer was lost.

That the scenarios would notice is tried by \`npm run chaos -- --mutations\`: each of these promises is broken in a copy of the source, and
its scenario has to fail there.

${mutations.map(({ breaks, scenario }) => `- ${breaks}: ${scenario}`).join('\n')}

${rows.join('\n')}
`
}

const cell = (facts: ReadonlyMap<string, number | null>, column: string): string => {
  const number = facts.get(column)
  return number === undefined ? '–' : String(number ?? '?')
}
