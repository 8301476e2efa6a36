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

export const scenarios: readonly Scenario[] = [
  {
    name: 'killed-processes',
    fault: 'kill -9 of every service and of the broker, under load',
    facts: {
      kills: /(\d+) kills at/g,
      promised: /(\d+) promised in/g,
      missing: /missing (\d+)/g,
      duplicated: /twice (\d+)/g,
      unanswered: /unanswered (\d+)/g,
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
