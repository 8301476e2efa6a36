/**
 * How much one account may send; the directory counts.
 *
 * STANDARDS  RFC 6409 §6.2 (rates); RFC 3463 §3.6 (5.5.3: the message is to be divided), §3.8 (4.7.1: policy, and it will pass)
 */
import { replies, SmtpError } from '@postbus/smtp'

export interface LimitPorts {
  /**
   * Milliseconds until there is room again, Infinity for a message that alone is above the limit, or null: granted and counted.
   * Throws when the directory cannot be asked.
   */
  spend(account: string, recipients: number): Promise<number | null>
}

const MINUTE_MS = 60_000

/** @throws the refusal: temporary, for the mail is fine and will do later; unless it never will */
export async function spendSending(account: string, recipients: number, ports: LimitPorts): Promise<void> {
  const waitMs = await ports.spend(account, recipients).catch((cause: unknown) => {
    throw replies.directoryUnreachable(cause)
  })
  if (waitMs === null) return
  if (waitMs === Infinity) {
    throw new SmtpError(550, '5.5.3', 'More recipients than this account may send to in an hour; send to fewer at once')
  }
  const minutes = Math.max(1, Math.ceil(waitMs / MINUTE_MS))
  throw new SmtpError(450, '4.7.1', `Sending limit of this account reached; try again in ${minutes} min`)
}
