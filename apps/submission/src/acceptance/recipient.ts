/**
 * Whom our users may write to: anybody, except names in our own domains that nobody has. Refused while the user still
 * sits in front of the client, instead of reported later.
 *
 * STANDARDS  RFC 6409 §6.4; RFC 5321 §4.1.1.3; RFC 3463
 */
import type { RecipientFinding } from '@postbus/directory-client'
import { replies, SmtpError } from '@postbus/smtp'

export interface RecipientPorts {
  /** Throws when the directory cannot be asked. */
  findRecipient(forwardPath: string): Promise<RecipientFinding>
}

/** @throws the refusal */
export async function admitRecipient(forwardPath: string, ports: RecipientPorts): Promise<void> {
  const finding = await ports.findRecipient(forwardPath).catch((cause: unknown) => {
    throw replies.directoryUnreachable(cause)
  })
  if (finding === 'unknown') throw replies.noSuchMailbox()
  if (finding === 'disabled') throw new SmtpError(550, '5.2.1', 'Mailbox disabled')
}
