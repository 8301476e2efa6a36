/**
 * IDLE — RFC 2177. Everything that happens in the selected mailbox is told at once, until the client says DONE.
 *
 * A hint starts a look; hints may be lost, so there is a look now and then without one.
 */
import { afterLogin, nothing } from '../command.ts'
import { bad, ImapError } from '../reply.ts'
import { Bell } from '../session/bell.ts'
import type { Selected, Session } from '../session/session.ts'
import { tellUpdates } from '../session/updates.ts'

/** After a look that failed; doubled up to the time between looks. */
const AGAIN_MS = 500

export const idle = afterLogin({
  name: 'IDLE',
  updates: 'none',
  parse: nothing,
  run: async ({ session }) => {
    session.out.line('+ idling')
    const bell = new Bell()
    let done = false
    const line = session.input.line(session.limits.autologoutMs).finally(() => {
      done = true
      bell.ring()
    })
    // Awaited below; it may fail while we are looking.
    line.catch(() => undefined)
    const { state } = session
    if (state.kind === 'selected') state.selected.onChange = () => bell.ring()
    try {
      await watch(session, bell, () => done)
    } finally {
      if (state.kind === 'selected') state.selected.onChange = () => undefined
    }
    if ((await line)?.toUpperCase() !== 'DONE') throw bad('Expected DONE')
    return { text: 'IDLE completed' }
  },
})

async function watch(session: Session, bell: Bell, done: () => boolean): Promise<void> {
  const { state, out, limits } = session
  // Sessions that began together should not look together.
  const recheckMs = limits.recheckMs * (0.75 + Math.random() / 2)
  let failures = 0
  while (!done()) {
    if (state.kind === 'selected' && (state.selected.changed || state.selected.lookedBefore(recheckMs))) {
      failures = (await look(session, state)) ? 0 : failures + 1
    }
    if (out.silentForMs >= limits.keepaliveMs) out.line('* OK Still here')
    if (done()) return
    const againMs = failures === 0 ? recheckMs : Math.min(recheckMs, AGAIN_MS * 2 ** failures)
    await bell.wait(Math.min(againMs, limits.keepaliveMs))
  }
}

/** False when the mailstore could not be asked: an idling client cannot be told NO, so it is told nothing yet. */
async function look({ out, ports }: Session, { account, selected }: Selected): Promise<boolean> {
  const { changedAt } = selected
  try {
    await tellUpdates({ account, selected, out })
  } catch (cause) {
    if (cause instanceof ImapError) return false
    throw cause
  }
  out.flush()
  if (changedAt !== undefined) ports.observe.pushed((performance.now() - changedAt) / 1000)
  return true
}
