/**
 * The scenarios that inject faults, and the facts each prints about itself. Adding one is a line here: the name, the file's
 * name, and for each fact how the scenario's diagnostics say it; numbers said more than once are added up, times are not: the
 * longest counts.
 */
export interface Scenario {
  /** Name of the file in apps/platform-e2e/src/scenarios, without `.test.ts`. */
  name: string
  fault: string
  /** The first group is the number. */
  facts: Record<string, RegExp>
  times?: Record<string, RegExp>
}

/** What every scenario says that keeps promises under load: the line of JSON `keepPromises` prints. */
const underLoad = {
  facts: {
    faults: /"faults":(\d+)/g,
    accepted: /"accepted":(\d+)/g,
    delivered: /"delivered":(\d+)/g,
    missing: /"missing":(\d+)/g,
    duplicated: /"duplicated":(\d+)/g,
    'twice at the sink': /"twiceAtTheSink":(\d+)/g,
    're-injected': /"reinjected":(\d+)/g,
  },
  times: { 'recovery (ms)': /"recoveryMs":(\d+)/g },
}

export const scenarios: readonly Scenario[] = [
  { name: 'killed-processes', fault: 'kill -9 of every service and of the broker', ...underLoad },
  {
    name: 'random-kills',
    fault: 'kill -9 of any services at random, several at once, the broker among them',
    ...underLoad,
  },
  { name: 'rolling-restart', fault: 'SIGTERM to every service in turn', ...underLoad },
  { name: 'broker-faults', fault: 'the broker hangs, is away, and forgets everything', ...underLoad },
  {
    name: 'full-disk',
    fault: 'the disk of the spool, that of the bus and that of all databases is full',
    ...underLoad,
  },
  { name: 'backpressure', fault: 'mailstore, then delivery, stand still until queues are full', ...underLoad },
  { name: 'clock-steps', fault: 'the clock of all services is set an hour forward and back', ...underLoad },
  { name: 'duplicate-events', fault: 'every event is published a second time under another id', ...underLoad },
  { name: 'poison', fault: 'events that match no contract, and nonsense that does, on every subject', ...underLoad },
  { name: 'dns-faults', fault: 'a DNS server that is silent, lies, truncates or refuses', ...underLoad },
  { name: 'stalled-clients', fault: 'clients stall in every state, and 2,000 connections say nothing', ...underLoad },
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
export function factsIn({ facts, times = {} }: Scenario, output: string): Map<string, number | null> {
  const said = output
    .split('\n')
    .filter((line) => line.trimStart().startsWith('ℹ '))
    .join('\n')
  const numbers = (pattern: RegExp): number[] => [...said.matchAll(pattern)].map(([, number]) => Number(number))
  const sum = (all: number[]): number => all.reduce((one, other) => one + other)
  const entries = [
    ...Object.entries(facts).map(([name, pattern]) => ({ name, found: numbers(pattern), of: sum })),
    ...Object.entries(times).map(([name, pattern]) => ({
      name,
      found: numbers(pattern),
      of: (all: number[]) => Math.max(...all),
    })),
  ]
  return new Map(entries.map(({ name, found, of }) => [name, found.length === 0 ? null : of(found)]))
}
