/**
 * npm run bench — rates on this machine, now.
 *
 *   npm run bench                        how many messages per second are accepted, and how soon they stand in the mailbox
 *   npm run bench -- outbound            how many leave for one next hop, from a full queue
 *   npm run bench -- lane                what a slow and a dead site cost a healthy one in their lane
 *   npm run bench -- scale               what scale-out costs, with 1, 2 and 4 routers and mailstores
 *   npm run bench -- tracing             what traces cost, with none, a hundredth, and all of them recorded
 *
 * The options of each stand at the top of its file.
 *
 * Machines are shared and noisy: rounds are repeated and alternate with a peer's where there is one; medians and ratios count.
 */
import { accept } from './accept.ts'
import { lane } from './lane.ts'
import { outbound } from './outbound.ts'
import { scale } from './scale.ts'
import { tracing } from './tracing.ts'

const benchmarks = { accept, outbound, lane, scale, tracing }
const isName = (text: string): text is keyof typeof benchmarks => Object.hasOwn(benchmarks, text)

const [first = 'accept', ...rest] = process.argv.slice(2)
const [name, args] = first.startsWith('-') ? ['accept', process.argv.slice(2)] : [first, rest]
const wrong = (why: string): void => {
  process.stderr.write(`bench: ${why}\n`)
  process.exitCode = 64
}
if (isName(name)) {
  try {
    await benchmarks[name](args)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))) throw error
    wrong(`${error.message} (tools/bench/${name}.ts says what there is)`)
  }
} else {
  wrong(`${Object.keys(benchmarks).join(' or ')}, not ${name}`)
}
