/**
 * Fits a message to what the peer offers, lawfully or not at all: nothing is sent that the peer did not say it takes, and
 * nothing is changed that we may not change. Of a message only the encoding of parts may be.
 *
 * STANDARDS  RFC 6152 §3 (8BITMIME), RFC 6531 §3.2, §3.7 (SMTPUTF8), RFC 1870 §6.1 (SIZE), RFC 3461 §4, §5.2 (DSN),
 *            RFC 8689 §4.2.1 (REQUIRETLS); statuses: RFC 3463, RFC 6531 §4.3, RFC 8689 §5
 */
import type { MailOut } from '@postbus/contracts'
import { encodeUtf8Address, encodeXtext, isAscii, asciiPath } from '@postbus/smtp'

import type { Peer, Transaction } from './session.ts'

/** Octets above 127 in the header, and after it. */
export interface Content {
  header8bit: boolean
  body8bit: boolean
}

/** As it stands in the spool, or with its parts encoded for a host that takes seven bits only. */
export type Form = 'asIs' | 'sevenBit'

/** The message, looked into only when a peer lacks something. */
export interface Message {
  content(): Promise<Content>
  /** Why there is no seven-bit form of it; null: there is one. */
  sevenBit(): Promise<{ impossible: string } | null>
  /**
   * Octets as it is sent, with what we put in front: our signature, made now.
   * @throws when nobody can say how to sign it; nothing is sent then
   */
  sizeOf(form: Form): Promise<number>
  /** As it is sent. Only after `sizeOf` of the same form. */
  read(form: Form): AsyncIterable<Uint8Array>
}

export interface Unfit {
  status: `5.${number}.${number}`
  reason: string
}

export interface Fitted {
  /** Null: nobody is left to send it to. */
  transaction: Transaction | null
  /** What is to be sent in it. */
  form: Form
  /** The tasks of its recipients, in its order. */
  tasks: MailOut[]
  unfit: Map<MailOut, Unfit>
}

/** @param tasks all of one message and reverse-path */
export async function fitToPeer(
  tasks: readonly [MailOut, ...MailOut[]],
  peer: Peer,
  { content, sevenBit, sizeOf }: Pick<Message, 'content' | 'sevenBit' | 'sizeOf'>,
): Promise<Fitted> {
  const [{ reversePath, requireTls, body, smtputf8: declaredUtf8, ret, envid }] = tasks
  const unfit = new Map<MailOut, Unfit>()
  const nobody = (status: Unfit['status'], reason: string): Fitted => {
    for (const task of tasks) unfit.set(task, { status, reason })
    return { transaction: null, form, tasks: [], unfit }
  }

  let form: Form = 'asIs'
  if (requireTls && !(peer.secure && peer.offers('REQUIRETLS'))) {
    return nobody('5.7.30', 'The next host does not support REQUIRETLS')
  }
  const body8bit = body === '8BITMIME' && peer.offers('8BITMIME')
  // RFC 6152 §3: converted, or returned where that cannot be.
  if (body === '8BITMIME' && !body8bit && (await content()).body8bit) {
    const refused = await sevenBit()
    if (refused) return nobody('5.6.3', refused.impossible)
    form = 'sevenBit'
  }
  const size = await sizeOf(form)
  if (peer.maxSize > 0 && size > peer.maxSize) return nobody('5.3.4', 'The message is larger than the next host takes')
  const internationalized =
    declaredUtf8 || !isAscii(reversePath) || tasks.some(({ forwardPath }) => !isAscii(forwardPath))
  const smtputf8 = internationalized && peer.offers('SMTPUTF8')
  const pathFor = (path: string): string | null => (smtputf8 ? path : asciiPath(path))
  if (declaredUtf8 && !smtputf8 && (await content()).header8bit) {
    return nobody('5.6.9', 'The next host does not take internationalized headers')
  }
  const sender = pathFor(reversePath)
  if (sender === null) return nobody('5.6.7', "The next host does not take the sender's internationalized address")

  const dsn = peer.offers('DSN')
  const fitting: MailOut[] = []
  const recipients: { forwardPath: string; parameters: string }[] = []
  for (const task of tasks) {
    const forwardPath = pathFor(task.forwardPath)
    if (forwardPath === null) {
      unfit.set(task, { status: '5.6.7', reason: 'The next host does not take this internationalized address' })
    } else {
      fitting.push(task)
      recipients.push({ forwardPath, parameters: dsn ? dsnParameters(task) : '' })
    }
  }
  if (fitting.length === 0) return { transaction: null, form, tasks: [], unfit }
  const common = { reversePath: sender, recipients, size, body8bit, smtputf8, requireTls }
  return { transaction: { ...common, ...(dsn && { ret, envid }) }, form, tasks: fitting, unfit }
}

/** RFC 3461 §5.2.1: passed on as they came. */
function dsnParameters({ original: { notify, orcpt } }: MailOut): string {
  const parameters = notify ? [`NOTIFY=${notify.join(',')}`] : []
  const [, type, address] = /^([^;]+);(.*)$/s.exec(orcpt ?? '') ?? []
  if (type !== undefined && address !== undefined) {
    // RFC 6533 §3: an address of type utf-8 has an encoding of its own.
    const encode = type.toLowerCase() === 'utf-8' ? encodeUtf8Address : encodeXtext
    parameters.push(`ORCPT=${type};${encode(address)}`)
  }
  return parameters.join(' ')
}
