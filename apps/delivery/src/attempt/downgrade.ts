/**
 * Fits a message to what the peer offers, lawfully or not at all: nothing is sent that the peer did not say it can take, and
 * nothing is changed that we may not change.
 *
 * STANDARDS  RFC 6152 §3 (8BITMIME), RFC 6531 §3.2, §3.7 (SMTPUTF8), RFC 1870 §6.1 (SIZE), RFC 3461 §5.2 (DSN),
 *            RFC 8689 §4.2 (REQUIRETLS), RFC 3463 and the IANA registry (5.6.3, 5.6.7, 5.6.9, 5.7.30)
 */
import type { MailOut } from '@postbus/contracts'
import { encodeUtf8Address, encodeXtext, isAscii, normalizeDomain } from '@postbus/smtp'

import type { Outcome } from './outcome.ts'
import type { Peer, Transaction } from './ports.ts'

export interface Content {
  /** Octets above 127 in the header, and after it. */
  header8bit: boolean
  body8bit: boolean
}

type Refused = Extract<Outcome, { kind: 'permanent' }>

export interface Fitted {
  /** Null: nobody is left to send it to. */
  transaction: Transaction | null
  /** The tasks of the transaction's recipients, in its order. */
  tasks: MailOut[]
  refused: Map<MailOut, Refused>
  /** Whether DSN parameters are passed on, so that reports become the peer's business. */
  dsn: boolean
}

/** @param content looks into the message; asked only when the peer lacks something */
export async function fitToPeer(
  tasks: readonly MailOut[],
  peer: Peer,
  content: () => Promise<Content>,
): Promise<Fitted> {
  const [first] = tasks
  const refused = new Map<MailOut, Refused>()
  const dsn = peer.offers('DSN')
  if (first === undefined) return { transaction: null, tasks: [], refused, dsn }
  const refuseAll = (status: Refused['status'], reason: string): Fitted => {
    for (const task of tasks) refused.set(task, { kind: 'permanent', status, reason, mxHost: peer.name })
    return { transaction: null, tasks: [], refused, dsn }
  }

  const { reversePath, size, requireTls } = first
  if (peer.maxSize > 0 && size > peer.maxSize)
    return refuseAll('5.3.4', 'The message is larger than the next host takes')
  const utf8Paths = !isAscii(reversePath) || tasks.some(({ forwardPath }) => !isAscii(forwardPath))
  let smtputf8 = first.smtputf8 || utf8Paths
  if (smtputf8 && !peer.offers('SMTPUTF8')) {
    smtputf8 = false
    if (first.smtputf8 && (await content()).header8bit) {
      return refuseAll('5.6.9', 'The next host does not take internationalised headers')
    }
    if (asciiPath(reversePath) === null)
      return refuseAll('5.6.7', 'The next host does not take the address of the sender')
  }
  let body8bit = first.body === '8BITMIME'
  if (body8bit && !peer.offers('8BITMIME')) {
    body8bit = false
    // Converting would break signatures; RFC 6152 §3 leaves converting or refusing to us.
    if ((await content()).body8bit) return refuseAll('5.6.3', 'The next host takes seven-bit messages only')
  }

  const fitting: MailOut[] = []
  const recipients: Transaction['recipients'][number][] = []
  for (const task of tasks) {
    const forwardPath = smtputf8 ? task.forwardPath : asciiPath(task.forwardPath)
    if (forwardPath === null) {
      const reason = 'The next host does not take this internationalised address'
      refused.set(task, { kind: 'permanent', status: '5.6.7', reason, mxHost: peer.name })
      continue
    }
    fitting.push(task)
    recipients.push({ forwardPath, parameters: dsn ? dsnParameters(task) : '' })
  }
  if (fitting.length === 0) return { transaction: null, tasks: [], refused, dsn }
  const { ret, envid } = first
  const parameters = {
    size,
    body8bit,
    smtputf8,
    requireTls,
    ...(dsn && ret && { ret }),
    ...(dsn && envid && { envid }),
  }
  return {
    transaction: {
      reversePath: smtputf8 ? reversePath : (asciiPath(reversePath) ?? reversePath),
      recipients,
      parameters,
    },
    tasks: fitting,
    refused,
    dsn,
  }
}

/** With the domain in A-labels, which every host takes; null when the local part needs SMTPUTF8 — RFC 6531 §3.2. */
function asciiPath(path: string): string | null {
  if (isAscii(path)) return path
  const at = path.lastIndexOf('@')
  const localPart = path.slice(0, at)
  const domain = normalizeDomain(path.slice(at + 1))
  return at > 0 && isAscii(localPart) && domain !== null ? `${localPart}@${domain}` : null
}

/** RFC 3461 §4.1, §4.2, passed on as they came — §5.2.1. */
function dsnParameters({ original: { notify, orcpt } }: MailOut): string {
  const parameters: string[] = []
  if (notify) parameters.push(`NOTIFY=${notify.join(',')}`)
  if (orcpt) {
    const [type = '', address = ''] = splitOnce(orcpt, ';')
    const encode = type.toLowerCase() === 'utf-8' ? encodeUtf8Address : encodeXtext
    parameters.push(`ORCPT=${type};${encode(address)}`)
  }
  return parameters.join(' ')
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
