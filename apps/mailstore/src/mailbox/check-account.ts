/**
 * Whether all an account has fits together: counters, references, sizes, structures, bytes. What follows from the rest can be
 * set right; bytes that are gone cannot, and their message stays, so that a disk that was only missing costs nothing.
 *
 * Every finding is of one moment of the storage: mail that comes and goes meanwhile is no fault.
 */
import type { AccountId, Fault } from '@postbus/contracts'
import { type MessagePart, unpackStructure } from '@postbus/message'

import type { StoredContent } from './content.ts'
import type { ContentToCheck, Counters, MailStorage, MessageToCheck, Repair } from './storage.ts'

export interface CheckPorts {
  read: MailStorage['read']
  repair(what: Repair): Promise<void>
  /** Null: there is no such blob. */
  blobSize(key: string): Promise<number | null>
  /** Content as it is prepared when it comes, from its bytes. */
  recompute(account: AccountId, mailbox: number, uid: number, content: ContentToCheck): Promise<StoredContent>
}

export type CheckRow = { kind: 'fault'; fault: Fault } | { kind: 'checked'; mailbox?: string; messages: number }

type Found = Omit<Fault, 'repaired' | 'mailbox'> & { repair?: () => Promise<void> }

const PAGE = 500

export async function* checkAccount(account: AccountId, repair: boolean, ports: CheckPorts): AsyncGenerator<CheckRow> {
  const { mailboxes } = await ports.read('list', { account })
  let messages = 0
  for (const { mailbox, name } of mailboxes) {
    const one = { account, mailbox }
    let count = 0
    for await (const message of messagesOf(one, ports)) {
      for (const found of await faultsOf(one, message, ports)) yield await settled(found, { mailbox: name }, repair)
      count++
    }
    for (const found of await faultsOfMailbox(one, ports)) yield await settled(found, { mailbox: name }, repair)
    yield { kind: 'checked', mailbox: name, messages: count }
    messages += count
  }
  for (const found of await faultsOfAccount(account, ports)) yield await settled(found, {}, repair)
  yield { kind: 'checked', messages }
}

async function settled({ repair, ...found }: Found, where: { mailbox?: string }, wanted: boolean): Promise<CheckRow> {
  const repaired = wanted && repair !== undefined
  if (repaired) await repair()
  return { kind: 'fault', fault: { ...where, ...found, repaired } }
}

interface MailboxToCheck {
  account: AccountId
  mailbox: number
}

async function* messagesOf(mailbox: MailboxToCheck, { read }: CheckPorts): AsyncGenerator<MessageToCheck> {
  for (let after = 0; ;) {
    // Null: the mailbox was deleted meanwhile.
    const page = (await read('messagesToCheck', { ...mailbox, after, limit: PAGE })) ?? []
    yield* page
    if (page.length < PAGE) return
    after = page.at(-1)?.uid ?? after
  }
}

async function faultsOf(mailbox: MailboxToCheck, message: MessageToCheck, ports: CheckPorts): Promise<Found[]> {
  const { uid, size, content } = message
  if (content === null) return [{ kind: 'bytes', uid, detail: 'nothing is stored of the message' }]
  const missing = await missingBytes(content, ports)
  if (missing !== null) return [{ kind: 'bytes', uid, detail: missing }]
  const found: Found[] = []
  const whole = content.prefixSize + content.size
  if (size !== whole) {
    found.push({
      ...{ kind: 'size', uid, detail: `says ${size} octets and has ${whole}` },
      repair: () => ports.repair({ kind: 'size', ...mailbox, uid, size: whole }),
    })
  }
  const wrong = wrongStructure(content)
  if (wrong !== null) {
    const { account, mailbox: number } = mailbox
    found.push({
      ...{ kind: 'structure', uid, detail: wrong },
      repair: async () => {
        const computed = await ports.recompute(account, number, uid, content)
        await ports.repair({ kind: 'structure', content: content.id, computed })
      },
    })
  }
  return found
}

async function missingBytes(
  { blob, size, heldSize }: ContentToCheck,
  { blobSize }: CheckPorts,
): Promise<string | null> {
  if (blob === null) return heldSize === size ? null : `${heldSize} octets are stored of ${size}`
  const there = await blobSize(blob.key)
  if (there === null) return `the blob ${blob.key} is not there`
  return there >= blob.offset + size ? null : `the blob ${blob.key} ends ${blob.offset + size - there} octets early`
}

function wrongStructure({ structure, size, headerSize }: ContentToCheck): string | null {
  let root: MessagePart
  try {
    root = unpackStructure(structure)
  } catch {
    return 'the structure cannot be read'
  }
  if (root.header.start !== 0 || root.header.end !== headerSize || root.body.end !== size) {
    return `the structure is of another message: it ends at ${root.body.end}, the message at ${size}`
  }
  return isWithin(root, 0, size) ? null : 'a part lies outside the part it is in'
}

/** As deep as the limit with which the structure was read. */
function isWithin({ header, body, parts = [], message }: MessagePart, start: number, end: number): boolean {
  const inOrder = start <= header.start && header.start <= header.end && header.end <= body.start
  if (!inOrder || body.start > body.end || body.end > end) return false
  return [...parts, ...(message ? [message] : [])].every((part) => isWithin(part, body.start, body.end))
}

const exact = ['messages', 'unseen', 'deleted', 'size'] as const satisfies (keyof Counters)[]
const atLeast = ['uidNext', 'highestModseq'] as const satisfies (keyof Counters)[]

async function faultsOfMailbox(mailbox: MailboxToCheck, ports: CheckPorts): Promise<Found[]> {
  const counters = await ports.read('countersToCheck', mailbox)
  if (counters === null) return []
  const { said, counted, strayKeywords } = counters
  const wrong = [
    ...exact.filter((name) => said[name] !== counted[name]),
    ...atLeast.filter((name) => said[name] < counted[name]),
  ].map((name) => `${name} ${said[name]} for ${counted[name]}`)
  const repair = (): Promise<void> => ports.repair({ kind: 'counters', ...mailbox })
  const found: Found[] = []
  if (wrong.length > 0) found.push({ kind: 'counters', detail: wrong.join(', '), repair })
  if (strayKeywords > 0) {
    found.push({ kind: 'keywords', detail: `${strayKeywords} keywords on messages that are not there`, repair })
  }
  return found
}

async function faultsOfAccount(account: AccountId, ports: CheckPorts): Promise<Found[]> {
  const checked = await ports.read('accountToCheck', { account })
  if (checked === null) return []
  const { said, counted, wrongReferences } = checked
  const repair = (): Promise<void> => ports.repair({ kind: 'account', account })
  const found: Found[] = []
  if (said.messages !== counted.messages || said.usedBytes !== counted.usedBytes) {
    const detail = `${said.messages} messages of ${said.usedBytes} octets for ${counted.messages} of ${counted.usedBytes}`
    found.push({ kind: 'counters', detail, repair })
  }
  if (wrongReferences > 0) {
    const detail = `the bytes of ${wrongReferences} messages are kept for too long or too short a time`
    found.push({ kind: 'references', detail, repair })
  }
  return found
}
