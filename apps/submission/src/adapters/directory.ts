/** The directory as submission asks it. */
import type { Bus } from '@postbus/bus'
import { authenticate, checkSender, spendSending } from '@postbus/contracts'

import type { LimitPorts } from '../acceptance/limits.ts'
import type { LoginPorts } from '../acceptance/log-in.ts'
import type { SenderPorts } from '../acceptance/sender-rights.ts'

export type DirectoryPorts = Pick<LoginPorts, 'authenticate'> & SenderPorts & LimitPorts

export function directoryOver(bus: Pick<Bus, 'request'>): DirectoryPorts {
  return {
    async authenticate(claim) {
      const question = { ...claim, service: 'submission' as const }
      // Longer than anything the directory keeps: wrong, and not worth a question.
      if (!authenticate.input.safeParse(question).success) return { kind: 'refused', delayMs: 0 }
      return bus.request(authenticate, question)
    },

    async deniedSenders(account, addresses) {
      const { denied } = await bus.request(checkSender, { account, addresses: [...addresses] })
      return denied
    },

    async spend(account, recipients) {
      const answer = await bus.request(spendSending, { account, recipients })
      return answer.kind === 'granted' ? null : answer.retryAfterMs
    },
  }
}
