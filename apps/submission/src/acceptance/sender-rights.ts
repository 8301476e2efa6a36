/**
 * Who an account may send as: the reverse-path and every address in From and Sender must be its own.
 *
 * What cannot be read cannot be checked, so a header whose author is missing, doubled or garbled is refused, never guessed.
 *
 * STANDARDS  RFC 6409 §6.1 (sender rights); RFC 5322 §3.6, §3.6.2 (one From, at most one Sender); RFC 6854 (groups)
 */
import { type AddressGroup, type HeaderField, type MailboxAddress, readAddressList } from '@postbus/message'
import { formatPath, replies, SmtpError } from '@postbus/smtp'

export interface SenderPorts {
  /** Which of these addresses the account may not send as. Throws when the directory cannot be asked. */
  deniedSenders(account: string, addresses: readonly string[]): Promise<readonly string[]>
}

/** As many as the directory answers at once; no honest message has more authors. */
const MAX_AUTHORS = 100

/** @throws the refusal. The null reverse-path belongs to nobody and everybody: then only the header counts. */
export async function checkReversePath(account: string, reversePath: string, ports: SenderPorts): Promise<void> {
  if (reversePath !== '') await checkOwned(account, [reversePath], ports)
}

/** @throws the refusal */
export async function checkAuthors(account: string, fields: readonly HeaderField[], ports: SenderPorts): Promise<void> {
  const from = fields.filter(({ name }) => name.toLowerCase() === 'from')
  const sender = fields.filter(({ name }) => name.toLowerCase() === 'sender')
  if (from.length !== 1) throw malformed(from.length === 0 ? 'From field missing' : 'More than one From field')
  if (sender.length > 1) throw malformed('More than one Sender field')
  const addresses = new Set([...from, ...sender].flatMap(({ name, value }) => addressesOf(name, value)))
  if (addresses.size > MAX_AUTHORS) throw malformed('Too many addresses in From')
  await checkOwned(account, [...addresses], ports)
}

async function checkOwned(account: string, addresses: readonly string[], ports: SenderPorts): Promise<void> {
  const denied = await ports.deniedSenders(account, addresses).catch((cause: unknown) => {
    throw replies.directoryUnreachable(cause)
  })
  if (denied.length > 0) throw replies.senderNotOwned()
}

/** `a@b <c@d>`, as many scripts write it: no name without quotes has an at sign in it — RFC 5322 §3.4. */
const ADDRESS_AS_NAME = /^\s*([^\s"(),:;<>@]+@[^\s"(),:;<>@]+)\s*(<[^<>]*>)\s*$/

function addressesOf(field: string, value: string): string[] {
  // A reader may take either for the author.
  const [, ...either] = ADDRESS_AS_NAME.exec(value) ?? []
  if (either.length > 0) return either.flatMap((address) => addressesOf(field, address))
  const { addresses, complete } = readAddressList(value)
  const mailboxes = addresses.flatMap(mailboxesOf)
  // RFC 6854 §1 lets a group stand there without an address; nobody could answer for that.
  if (!complete || mailboxes.length === 0) throw malformed(`${field} field cannot be read as an address`)
  return mailboxes.map(({ localPart, domain }) => {
    if (localPart === undefined || domain === undefined) throw malformed(`${field} field holds no complete address`)
    return formatPath({ localPart, domain })
  })
}

const mailboxesOf = (address: MailboxAddress | AddressGroup): MailboxAddress[] =>
  address.kind === 'group' ? address.members : [address]

/** X.6.0: the message itself is at fault — RFC 3463 §3.7. */
const malformed = (text: string): SmtpError => new SmtpError(550, '5.6.0', text)
