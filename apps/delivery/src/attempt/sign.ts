/**
 * Signs what is ours: mail our users submitted and reports of our own. Mail that others sent through us is not ours to answer for.
 *
 * The author's domain signs, which is what DMARC compares (RFC 7489 §3.1.1). Where none of the authors' domains has a key the
 * domain of the reverse-path does: such a signature aligns with nothing, but tells receivers whose mail this is. Without a key
 * mail goes out unsigned; without an answer about keys it waits.
 *
 * STANDARDS  RFC 6376 §5.1, §5.2; RFC 5322 §3.6.2
 */
import type { MailOut } from '@postbus/contracts'
import { signatureOf, type SigningKey } from '@postbus/mail-auth'
import { type AddressGroup, fieldsNamed, fieldValue, type MailboxAddress, parseAddressList } from '@postbus/message'
import { normalizeDomain } from '@postbus/smtp'

import type { Form } from './fit.ts'

/** More authors' domains than this do not sign; each costs a signature. */
const MAX_AUTHOR_DOMAINS = 5

export interface SignPorts {
  /** Those of all these domains. @throws when nobody can tell */
  keysOf(domains: readonly string[]): Promise<readonly SigningKey[]>
  /** Another number whenever keys may have changed: what was signed before is not used any more. */
  generation(): number
  now(): Date
  signed(result: 'signed' | 'unsigned'): void
}

/** @returns fields to put in front of the message, each ending with CRLF; '' where nothing is signed */
export type Sign = (
  message: Pick<MailOut, 'queueId' | 'origin' | 'reversePath'>,
  form: Form,
  body: () => AsyncIterable<Uint8Array>,
) => Promise<string>

/** @param maxRemembered signatures kept, so that a message to many sites is signed once */
export function signer(ports: SignPorts, maxRemembered: number): Sign {
  const remembered = new Map<string, Promise<string>>()

  async function signed(reversePath: string, body: () => AsyncIterable<Uint8Array>): Promise<string> {
    const keysFor = (header: Buffer) => keysOfMessage(header, reversePath, ports)
    const signature = await signatureOf(body(), { keysFor, at: ports.now() })
    ports.signed(signature === '' ? 'unsigned' : 'signed')
    return signature
  }

  return async ({ queueId, origin, reversePath }, form, body) => {
    if (origin === 'inbound') return ''
    // A list has its members' copies sent in its owner's name.
    const key = JSON.stringify([ports.generation(), queueId, reversePath, form])
    const signature = remembered.get(key) ?? signed(reversePath, body)
    remembered.delete(key)
    remembered.set(key, signature)
    if (remembered.size > maxRemembered) {
      const [oldest] = remembered.keys()
      if (oldest !== undefined) remembered.delete(oldest)
    }
    try {
      const fields = await signature
      // Looked for again as quickly as it is found here.
      if (fields === '') remembered.delete(key)
      return fields
    } catch (error) {
      remembered.delete(key)
      throw error
    }
  }
}

async function keysOfMessage(
  header: Buffer,
  reversePath: string,
  { keysOf }: Pick<SignPorts, 'keysOf'>,
): Promise<readonly SigningKey[]> {
  const authors = authorDomains(header)
  const sender = domainOf(reversePath.slice(reversePath.lastIndexOf('@') + 1))
  const domains = [...new Set([...authors, ...(sender === null ? [] : [sender])])]
  if (domains.length === 0) return []
  const keys = await keysOf(domains)
  const own = keys.filter(({ domain }) => authors.has(domain))
  return own.length > 0 ? own : keys
}

function authorDomains(header: Buffer): Set<string> {
  const domains = new Set<string>()
  for (const { valueStart, end } of fieldsNamed(header, 'from')) {
    for (const { domain } of parseAddressList(fieldValue(header, valueStart, end)).flatMap(mailboxesOf)) {
      const known = domain === undefined ? null : domainOf(domain)
      if (known !== null && domains.size < MAX_AUTHOR_DOMAINS) domains.add(known)
    }
  }
  return domains
}

const mailboxesOf = (address: MailboxAddress | AddressGroup): MailboxAddress[] =>
  address.kind === 'group' ? address.members : [address]

/** An address literal has no key. */
function domainOf(text: string): string | null {
  return text === '' || text.startsWith('[') ? null : normalizeDomain(text)
}
