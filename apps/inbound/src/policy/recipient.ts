/**
 * Who may be written to from outside: addresses the directory knows, and nobody else's.
 *
 * Only the domain after the last "@" decides whether an address is ours, and only the directory looks at the local part:
 * `user%other.test@ours` and `"user@other.test"@ours` are names in our domain like any other. So nothing is ever relayed.
 *
 * STANDARDS  RFC 5321 §2.3.11, §3.6.2 (relaying), §4.5.1 (Postmaster); RFC 3463
 */
import type { RecipientFinding } from '@postbus/directory-client'
import { replies, SmtpError } from '@postbus/smtp'

export interface RecipientPorts {
  /** Throws when the directory cannot be asked. */
  findRecipient(forwardPath: string): Promise<RecipientFinding>
}

/** @throws the refusal; a directory that cannot be asked is never a permanent one */
export async function admitRecipient(forwardPath: string, ports: RecipientPorts): Promise<void> {
  const finding = await ports.findRecipient(forwardPath).catch((cause: unknown) => {
    throw replies.directoryUnreachable(cause)
  })
  if (finding === 'unknown') throw replies.noSuchMailbox()
  if (finding === 'disabled') throw new SmtpError(550, '5.2.1', 'Mailbox disabled')
  if (finding === 'foreign') throw replies.relayDenied()
}
