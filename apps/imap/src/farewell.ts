/** How a session ends: what is said to the client, if anybody may still hear it, and what the log says. */
import { Interrupted, Silence } from './input.ts'
import { ConnectionLost, SessionEnded } from './reply.ts'

export interface Bye {
  code: string | null
  text: string
}

/** Whether this is not one of the ways a session is meant to end. */
export function isFault(cause: unknown): boolean {
  return ![SessionEnded, ConnectionLost, Silence, Interrupted].some((kind) => cause instanceof kind)
}

/** @param stopping what whoever interrupted the session wants to be said */
export function farewell(cause: unknown, stopping: Bye | undefined): { reason: string; bye: Bye | null } {
  if (cause instanceof ConnectionLost) return { reason: cause.message, bye: null }
  if (cause instanceof Silence)
    return { reason: 'autologout', bye: { code: null, text: 'Autologout, nothing heard for too long' } }
  if (cause instanceof SessionEnded) return { reason: cause.message, bye: { code: cause.code, text: cause.message } }
  if (cause instanceof Interrupted && stopping) return { reason: stopping.text, bye: stopping }
  return { reason: 'internal error', bye: { code: 'SERVERBUG', text: 'Internal error' } }
}
