/**
 * Which addresses an account may send as: those whose mail it gets. Its own, with any detail, in any alias domain; an alias
 * that names it as a member; an address rewritten to one of these. Not a list or group: its mail comes from its owner.
 *
 * STANDARDS  RFC 6409 §6.1
 */
import type { Resolution } from '@postbus/contracts'

/** alias → rewrite → account is as far as one looks. */
const MAX_STEPS = 3
/** Members followed in all; an alias of so many is no sender identity. */
const MAX_FOLLOWED = 5000

export async function deniedSenders(
  account: string,
  addresses: readonly string[],
  resolve: (addresses: readonly string[]) => Promise<Resolution[]>,
): Promise<string[]> {
  const allowed = new Set<string>()
  /** Address to look at → the asked ones it stands for. */
  let next = new Map(addresses.map((address) => [address, new Set([address])]))
  for (let step = 0, followed = 0; step < MAX_STEPS && next.size > 0; step++) {
    followed += next.size
    if (followed > MAX_FOLLOWED) break
    const asked = [...next]
    const resolutions = await resolve(asked.map(([address]) => address))
    next = new Map()
    for (const [index, resolution] of resolutions.entries()) {
      const standsFor = asked[index]?.[1] ?? []
      for (const original of standsFor) {
        if (allowed.has(original)) continue
        if (resolution.kind === 'account' && resolution.account === account) allowed.add(original)
        for (const further of onward(resolution)) next.set(further, (next.get(further) ?? new Set()).add(original))
      }
    }
  }
  return addresses.filter((address) => !allowed.has(address))
}

function onward(resolution: Resolution): readonly string[] {
  if (resolution.kind === 'alias') return resolution.members
  return resolution.kind === 'rewrite' ? [resolution.forwardPath] : []
}
