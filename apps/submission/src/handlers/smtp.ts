/** SMTP verbs on the left, decisions and intake on the right. */
import { Envelope } from '@postbus/contracts'
import type { Intake } from '@postbus/intake'
import type { SmtpClient, SmtpHandlers } from '@postbus/listener'
import { replies } from '@postbus/smtp'

import { type LimitPorts, spendSending } from '../acceptance/limits.ts'
import { type LoginPorts, logIn } from '../acceptance/log-in.ts'
import { admitRecipient, type RecipientPorts } from '../acceptance/recipient.ts'
import { missingFields, type RepairPorts } from '../acceptance/repair.ts'
import { checkAuthors, checkReversePath, type SenderPorts } from '../acceptance/sender-rights.ts'

export interface SubmissionPorts extends LoginPorts, SenderPorts, RecipientPorts, LimitPorts, RepairPorts {
  intake: Pick<Intake, 'gate' | 'take'>
}

export function submissionHandlers(ports: SubmissionPorts, maxMessageOctets: number): SmtpHandlers {
  return {
    async authenticate(attempt, client) {
      const { account, address } = await logIn(attempt, client, ports)
      return { account, username: address }
    },

    async mailFrom({ reversePath }, client) {
      const full = ports.intake.gate()
      if (full) throw full
      await checkReversePath(accountOf(client), reversePath, ports)
    },

    rcptTo({ forwardPath }) {
      return admitRecipient(forwardPath, ports)
    },

    async data(envelope, body, client) {
      const { address, helo, tls, protocol } = client
      const account = accountOf(client)
      return ports.intake.take({
        origin: 'submission',
        account,
        envelope: Envelope.parse(envelope),
        client: { address, helo, hostname: null, tls, protocol },
        body,
        maxBytes: maxMessageOctets,
        async inspect(fields) {
          await checkAuthors(account, fields, ports)
          // Last: what is refused for its header costs nothing.
          await spendSending(account, envelope.recipients.length, ports)
          return { prepend: missingFields(fields, ports) }
        },
      })
    },
  }
}

/** The listener lets nobody come here without a login; RFC 4954 §6 says what they would be told. */
function accountOf({ login }: SmtpClient): string {
  if (!login) throw replies.authenticationRequired()
  return login.account
}
