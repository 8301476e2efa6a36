/**
 * The scenarios that inject faults, and the facts each prints about itself. Adding one is a line here: the name, the file's
 * name, and for each fact how the scenario's diagnostics say it; numbers said more than once are added up.
 */
export interface Scenario {
  /** Name of the file in apps/platform-e2e/src/scenarios, without `.test.ts`. */
  name: string
  fault: string
  /** The first group is the number. */
  facts: Record<string, RegExp>
}

/** What every scenario says that keeps promises under load. */
const underLoad = {
  faults: /faults (\d+) at/g,
  accepted: /accepted (\d+)/g,
  missing: /missing (\d+)/g,
  duplicated: /twice in a mailbox (\d+)/g,
  'twice at the sink': /twice at the sink (\d+)/g,
  unanswered: /unanswered (\d+)/g,
  're-injected': /re-injected (\d+)/g,
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'killed-processes',
    fault: 'kill -9 of every service and of the broker',
    facts: underLoad,
  },
  {
    name: 'broker-faults',
    fault: 'the broker hangs, is away, and forgets everything',
    facts: underLoad,
  },
  {
    name: 'rolling-restart',
    fault: 'SIGTERM to every service in turn',
    facts: underLoad,
  },
  {
    name: 'delivery-replicas-killed',
    fault: 'kill -9 of one of two replicas of delivery, again and again, beside a Postfix',
    facts: {
      faults: /(\d+) kills/g,
      accepted: /(\d+) promised/g,
      missing: /missing (\d+)/g,
      'twice at the peer': /twice (\d+)/g,
      unexplained: /unexplained (\d+)/g,
    },
  },
  {
    name: 'power-loss',
    fault: 'the machine loses power; what was not flushed is gone',
    facts: {
      operations: /(\d+) operations logged/g,
      cuts: /(\d+) cuts/g,
      platforms: /(\d+) of them with the platform/g,
      promised: /promised (\d+)/g,
      missing: /missing (\d+)/g,
      duplicated: /duplicated (\d+)/g,
      're-injected': /re-injected (\d+)/g,
    },
  },
]

/** Each fact with its number; null for one the output does not mention. */
export function factsIn(scenario: Scenario, output: string): Map<string, number | null> {
  const said = output
    .split('\n')
    .filter((line) => line.trimStart().startsWith('ℹ '))
    .join('\n')
  const found = Object.entries(scenario.facts).map(([fact, pattern]): [string, number | null] => {
    const numbers = [...said.matchAll(pattern)].map(([, number]) => Number(number))
    return [fact, numbers.length === 0 ? null : numbers.reduce((sum, number) => sum + number, 0)]
  })
  return new Map(found)
}
