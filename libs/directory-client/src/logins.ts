/**
 * The directory as the one who decides a login: passwords, SCRAM proofs and bearer tokens of one client, for libs/sasl.
 *
 * What no contract would carry (an endless password) is refused here, in the same words as a wrong one.
 */
import type { Bus } from '@postbus/bus'
import { authenticate, authenticateBearer, scramFinish, scramStart } from '@postbus/contracts'
import { SaslFault, type Verdict, type Verifier } from '@postbus/sasl'
import type { z } from 'zod'

/** An account, and the token that lets its bearer act for it. */
export interface Granted {
  account: string
  address: string
  token: string
  tokenExpiresInMs: number
}

export interface LoginClient {
  clientAddress: string
  service: 'submission' | 'imap' | 'pop3'
}

/** Every method throws BusUnavailable when the directory does not answer. */
export function directoryLogins(bus: Pick<Bus, 'request'>, client: LoginClient): Verifier<Granted> {
  return {
    async password(claim) {
      const asked = authenticate.input.safeParse({ ...claim, ...client })
      return asked.success ? verdictOf(await bus.request(authenticate, asked.data)) : REFUSED
    },

    async scramStart({ username, clientNonce }) {
      const asked = scramStart.input.safeParse({ username, clientNonce })
      if (!asked.success) throw new SaslFault('malformed', 'The name is too long')
      return bus.request(scramStart, asked.data)
    },

    async scramFinish({ proof, ...finish }) {
      const asked = scramFinish.input.safeParse({
        ...finish,
        ...client,
        proof: Buffer.from(proof).toString('base64'),
      })
      if (!asked.success) return REFUSED
      const answer = await bus.request(scramFinish, asked.data)
      if (answer.kind !== 'accepted') return answer
      const { kind, serverSignature, ...granted } = answer
      return { kind, granted: { granted, serverSignature: Buffer.from(serverSignature, 'base64') } }
    },

    async bearer(claim) {
      const asked = authenticateBearer.input.safeParse({ ...claim, ...client })
      return asked.success ? verdictOf(await bus.request(authenticateBearer, asked.data)) : REFUSED
    },
  }
}

const REFUSED = { kind: 'refused' as const, delayMs: 0 }

function verdictOf(answer: z.output<typeof authenticate.output>): Verdict<Granted> {
  if (answer.kind !== 'accepted') return answer
  const { kind, ...granted } = answer
  return { kind, granted }
}
