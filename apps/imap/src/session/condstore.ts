/**
 * Commands that make a client aware of mod-sequences — RFC 7162 §3.1. The first of them with a mailbox selected is told where
 * that mailbox stands.
 */
import type { Completed } from '../command.ts'
import type { Extension } from './enabled.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'
import type { Session } from './session.ts'

type Aware = Pick<Session, 'enabled' | 'out' | 'state'>

export function enable({ enabled, out, state }: Aware, extension: Extension): void {
  const before = enabled.has('CONDSTORE')
  enabled.add(extension)
  if (before || !enabled.has('CONDSTORE') || state.kind !== 'selected') return
  // All up to here has been told; what came since is told with its MODSEQ.
  out.line(`* OK [HIGHESTMODSEQ ${state.selected.modseq}] Highest`)
}

/**
 * The code of an answer to what removed messages. Everything up to it must have been told, so the mailbox is looked at again
 * first — RFC 7162 §3.2.7–3.2.9.
 */
export function highestModseq(selected: SelectedMailbox): Pick<Completed, 'code'> {
  if (!selected.enabled.has('QRESYNC')) return {}
  selected.lookAgain()
  return { code: () => `HIGHESTMODSEQ ${selected.modseq}` }
}

export const enableCondstore = (session: Aware): void => enable(session, 'CONDSTORE')
