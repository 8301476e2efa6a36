/**
 * What the directory knows of a recipient, as far as an edge must ask before it takes mail.
 *
 * Rewriting is followed, so that a name unknown behind it is found now and not in a report to a forged sender later; what
 * aliases and lists stand for is the router's business.
 *
 * STANDARDS  RFC 5321 §3.6.2, §4.1.1.3
 */
import type { Resolution } from '@postbus/contracts'

/** `ours`: taken, whoever it ends with. `foreign`: of a domain that is not ours. */
export type RecipientFinding = 'ours' | 'foreign' | 'unknown' | 'disabled'

/** Rewriting leads from domain to domain; further than this the router decides. */
const MAX_REWRITES = 3

/** @throws what `resolve` throws: silence of the directory says nothing about the address */
export async function findRecipient(
  forwardPath: string,
  resolve: (addresses: readonly string[]) => Promise<Resolution[]>,
): Promise<RecipientFinding> {
  let address = forwardPath
  for (let step = 0; step <= MAX_REWRITES; step++) {
    const [resolution] = await resolve([address])
    if (!resolution) throw new Error('the directory left the address out')
    switch (resolution.kind) {
      case 'unknown':
      case 'disabled':
        return resolution.kind
      case 'remote':
        // Behind a rewriting of ours the operator wants it to leave.
        return step === 0 ? 'foreign' : 'ours'
      case 'rewrite':
        address = resolution.forwardPath
        break
      default:
        return 'ours'
    }
  }
  return 'ours'
}
