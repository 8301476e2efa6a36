/** The directory as submission asks it. */
import type { Bus } from '@postbus/bus'
import { checkSender, spendSending } from '@postbus/contracts'
import { directoryLogins } from '@postbus/directory-client'

import type { LimitPorts } from '../acceptance/limits.ts'
import type { LoginPorts } from '../acceptance/log-in.ts'
import type { SenderPorts } from '../acceptance/sender-rights.ts'

export type DirectoryPorts = Pick<LoginPorts, 'verifier'> & SenderPorts & LimitPorts

export function directoryOver(bus: Pick<Bus, 'request'>): DirectoryPorts {
  return {
    verifier: (clientAddress) => directoryLogins(bus, { clientAddress, service: 'submission' }),

    async deniedSenders(account, addresses) {
      const { denied } = await bus.request(checkSender, { account, addresses: [...addresses] })
      return denied
    },

    async spend(account, recipients) {
      const answer = await bus.request(spendSending, { account, recipients })
      if (answer.kind === 'granted') return null
      return answer.never ? Infinity : answer.retryAfterMs
    },
  }
}
