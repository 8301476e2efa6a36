/**
 * Follow addresses through aliases, lists and rewriting until nothing is left to follow, breadth first, so that one level
 * of a whole message costs one look at the directory.
 *
 * The result is a graph: an address that comes up twice with the same reverse-path is one node, however many ways lead to
 * it. That bounds the work by the number of different addresses, and makes every loop a cycle in the graph.
 *
 * STANDARDS  RFC 5321 §3.9 (aliases and lists), §5.1
 */
import type { Resolution } from '@postbus/contracts'
import { normalizeDomain } from '@postbus/smtp'

export interface ExpansionLimits {
  /** Steps from an original recipient to a final one. */
  maxDepth: number
  /** Different addresses looked up for one message. */
  maxAddresses: number
}

/** One address with the reverse-path its mail would carry. */
export interface Step {
  readonly address: string
  readonly reversePath: string
  resolution: Resolution | { kind: 'tooDeep' } | { kind: 'tooMany' }
  members: Step[]
}

export type Resolve = (addresses: readonly string[]) => Promise<readonly Resolution[]>

/** Steps of one level are asked for in portions, so that a huge list does not become one huge wait. */
const PORTION = 1000

/**
 * One step per address in `originals`, everything they lead to hanging on them. A step that was never asked about because
 * its way is too long stays `tooDeep`; in place of what is beyond the limit of addresses stands one `tooMany`.
 */
export async function expand(
  originals: readonly string[],
  reversePath: string,
  resolve: Resolve,
  limits: ExpansionLimits,
): Promise<Step[]> {
  const steps = new Map<string, Step>()
  let next: Step[] = []

  const begin = (address: string, sender: string): Step => {
    const key = `${sender}\0${comparable(address)}`
    const known = steps.get(key)
    if (known) return known
    const step: Step = { address, reversePath: sender, resolution: { kind: 'tooDeep' }, members: [] }
    if (steps.size >= limits.maxAddresses) return { ...step, resolution: { kind: 'tooMany' } }
    steps.set(key, step)
    next.push(step)
    return step
  }

  const roots = originals.map((address) => begin(address, reversePath))
  for (let depth = 0; depth <= limits.maxDepth && next.length > 0; depth++) {
    const level = next
    next = []
    for (let from = 0; from < level.length; from += PORTION) {
      const portion = level.slice(from, from + PORTION)
      const resolutions = await resolve(portion.map((step) => step.address))
      for (const [index, step] of portion.entries()) {
        const resolution = resolutions[index]
        if (resolution === undefined) throw new Error('the directory answered for fewer addresses than asked')
        step.resolution = resolution
        for (const onward of onwards(step, resolution)) {
          const member = begin(onward.address, onward.reversePath)
          step.members.push(member)
          if (member.resolution.kind === 'tooMany') break
        }
      }
    }
  }
  return roots
}

function onwards(step: Step, resolution: Resolution): { address: string; reversePath: string }[] {
  const { reversePath } = step
  switch (resolution.kind) {
    case 'alias':
      return resolution.members.map((address) => ({ address, reversePath }))
    case 'list': {
      // RFC 5321 §3.9.2: the list's own reverse-path MUST replace the sender's. The null one stays: a report must not
      // cause reports (§4.5.5, §6.1).
      const own = reversePath === '' ? '' : resolution.reversePath
      return resolution.members.map((address) => ({ address, reversePath: own }))
    }
    case 'rewrite':
      return [{ address: resolution.forwardPath, reversePath }]
    case 'account':
    case 'discard':
    case 'remote':
    case 'unknown':
    case 'disabled':
      return []
  }
}

/** Domains match without regard to case, local parts of other people's domains do not — RFC 5321 §2.4. */
export function comparable(address: string): string {
  const at = address.lastIndexOf('@')
  if (at < 0) return address.toLowerCase() // Postmaster — RFC 5321 §4.5.1
  const domain = address.slice(at + 1)
  return `${address.slice(0, at)}@${normalizeDomain(domain) ?? domain.toLowerCase()}`
}
