/** Every mechanism by name, and which of them a connection is offered. */
import { oauthBearer, xoauth2 } from './bearer.ts'
import type { Channel, Mechanism } from './exchange.ts'
import { login } from './login.ts'
import { plain } from './plain.ts'
import { canBind, scramSha256, scramSha256Plus } from './scram.ts'

const all: ReadonlyMap<string, Mechanism> = new Map([
  ['PLAIN', plain],
  ['LOGIN', login],
  ['SCRAM-SHA-256', scramSha256],
  ['SCRAM-SHA-256-PLUS', scramSha256Plus],
  ['OAUTHBEARER', oauthBearer],
  ['XOAUTH2', xoauth2],
])

export interface Offer {
  channel: Channel
  /** An issuer of tokens is known. */
  bearer: boolean
  /** Also LOGIN. */
  login?: boolean
}

export function offeredMechanisms({ channel, bearer, login = false }: Offer): string[] {
  return [
    'PLAIN',
    ...(login ? ['LOGIN'] : []),
    'SCRAM-SHA-256',
    ...(canBind(channel) ? ['SCRAM-SHA-256-PLUS'] : []),
    ...(bearer ? ['OAUTHBEARER', 'XOAUTH2'] : []),
  ]
}

/** @param name in any case; undefined when it is not offered */
export function mechanismOf(name: string, offer: Offer): Mechanism | undefined {
  const upper = name.toUpperCase()
  return offeredMechanisms(offer).includes(upper) ? all.get(upper) : undefined
}
