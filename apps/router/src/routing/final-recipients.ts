/**
 * Where the way of one original recipient ends: the leaves of its expansion, and the ways that end nowhere.
 *
 * Every way ends in exactly one of them, so that nothing is dropped in silence: a loop, an empty alias and a way that is
 * too long are ends too.
 */
import type { AccountId } from '@postbus/contracts'

import type { Step } from './expand.ts'

export type End =
  | { kind: 'local'; account: AccountId; detail?: string | undefined }
  | { kind: 'remote'; site: string }
  | { kind: 'discarded'; rule: string }
  | { kind: 'failed'; why: 'unknown' | 'disabled' | 'loop' | 'empty' | 'tooDeep' | 'tooMany' }

/** A final recipient before it is numbered. */
export interface Final {
  forwardPath: string
  reversePath: string
  end: End
}

/** The whole expansion went over a limit: the original recipient fails as one, never in part. */
export const TOO_MANY = 'tooMany'

/** @param limit more ends than this are `tooMany`. */
export function finalRecipients(root: Step, limit: number): Final[] | typeof TOO_MANY {
  const finals: Final[] = []
  const seen = new Set<Step>([root])
  const onTheWay = new Set<Step>([root])
  // Depth first with a stack of our own: a hostile chain of aliases must not exhaust the language's.
  const stack: { step: Step; next: number }[] = []
  const enter = (step: Step): void => {
    seen.add(step)
    onTheWay.add(step)
    stack.push({ step, next: 0 })
    const end = endAt(step)
    if (end) finals.push(end)
  }

  enter(root)
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (finals.length > limit || top.step.resolution.kind === 'tooMany') return TOO_MANY
    const member = top.step.members[top.next++]
    if (member === undefined) {
      onTheWay.delete(top.step)
      stack.pop()
    } else if (!seen.has(member)) {
      enter(member)
    } else if (onTheWay.has(member)) {
      finals.push(at(member, { kind: 'failed', why: 'loop' }))
    }
  }
  return finals
}

const at = ({ address, reversePath }: Step, end: End): Final => ({ forwardPath: address, reversePath, end })

/** Null where the way goes on. */
function endAt(step: Step): Final | null {
  const { resolution } = step
  switch (resolution.kind) {
    case 'account': {
      const { account, address, detail } = resolution
      return { forwardPath: address, reversePath: step.reversePath, end: { kind: 'local', account, detail } }
    }
    case 'remote':
      return at(step, { kind: 'remote', site: resolution.domain })
    case 'discard':
      return at(step, { kind: 'discarded', rule: resolution.rule })
    case 'unknown':
    case 'disabled':
    case 'tooDeep':
      return at(step, { kind: 'failed', why: resolution.kind })
    case 'alias':
    case 'list':
      return resolution.members.length === 0 ? at(step, { kind: 'failed', why: 'empty' }) : null
    case 'rewrite':
    case 'tooMany':
      return null
  }
}
