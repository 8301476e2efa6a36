/** SMTP verbs on the left, decisions and intake on the right. */
import { Envelope } from '@postbus/contracts'
import type { Intake } from '@postbus/intake'
import type { SmtpClient, SmtpHandlers } from '@postbus/listener'

import { admitRecipient, type RecipientPorts } from '../policy/recipient.ts'

export interface InboundPorts extends RecipientPorts {
  intake: Pick<Intake, 'gate' | 'take'>
  /** The client's name, or null; settles in bounded time and never rejects. */
  reverseName(address: string): Promise<string | null>
}

export function inboundHandlers(ports: InboundPorts, maxMessageOctets: number): SmtpHandlers {
  /** Looked up while the client talks; only its first message may have to wait for the rest. */
  const hostnames = new WeakMap<SmtpClient, Promise<string | null>>()
  return {
    connect(client) {
      hostnames.set(client, ports.reverseName(client.address))
    },

    mailFrom() {
      const full = ports.intake.gate()
      if (full) throw full
    },

    rcptTo({ forwardPath }) {
      return admitRecipient(forwardPath, ports)
    },

    async data(envelope, body, client) {
      const { address, helo, tls, protocol } = client
      const hostname = (await hostnames.get(client)) ?? null
      return ports.intake.take({
        origin: 'inbound',
        envelope: Envelope.parse(envelope),
        client: { address, helo, hostname, tls, protocol },
        body,
        maxBytes: maxMessageOctets,
        inspect: async () => ({ prepend: [] }),
      })
    },
  }
}
