/** Dead letters as an operator sees them: what lies in MAIL_DEAD, and what the books say of its recipient. */
import { type DeadLetter, type MailDead, QueueId, RecipientKey, taskKey } from '@postbus/contracts'

import type { Books, OpenTask } from '../tracking/books.ts'
import { stateOf } from '../tracking/sheet.ts'

export interface DeadCopy {
  letter: MailDead
  /** Its own in MAIL_DEAD. */
  sequence: number
}

/** MAIL_DEAD. */
export interface DeadCopies {
  /** Everything in it, in pages. */
  subjects(): AsyncIterable<readonly string[]>
  /** Every subject that a copy with this id can have. */
  subjectsOf(id: string): string[]
  /** Null: it is gone. */
  find(subject: string): Promise<DeadCopy | null>
  remove(copy: DeadCopy): Promise<void>
}

export interface LetterPorts {
  books: Pick<Books, 'find' | 'deadTasks'>
  copies: DeadCopies
}

const PAGE = 500

/** Those with a copy first, then those the bus has lost. */
export async function* listLetters({ books, copies }: LetterPorts, limit: number): AsyncGenerator<DeadLetter> {
  const named = await subjectsById(copies, limit)
  let left = limit
  for (const [id, subjects] of named) {
    const found = await copiesOn(copies, subjects)
    if (found.length === 0) continue
    yield await describe(books, id, found)
    if (--left === 0) return
  }
  for (let after: OpenTask | null = null; ;) {
    const page: OpenTask[] = await books.deadTasks(after, PAGE)
    for (const { queueId, n } of page) {
      const id = taskKey(queueId, n)
      if (named.has(id)) continue
      yield await describe(books, id, [])
      if (--left === 0) return
    }
    after = page.at(-1) ?? null
    if (page.length < PAGE) return
  }
}

/** Null: no copy, and nothing dead in the books. */
export async function findLetter(
  { books, copies }: LetterPorts,
  id: string,
): Promise<{ letter: DeadLetter; copies: DeadCopy[] } | null> {
  const found = await copiesOf(copies, id)
  const letter = await describe(books, id, found)
  return found.length === 0 && letter.state !== 'dead' ? null : { letter, copies: found }
}

/** All copies with this id: of several streams, or set aside for several reasons. */
export const copiesOf = (copies: DeadCopies, id: string): Promise<DeadCopy[]> => copiesOn(copies, copies.subjectsOf(id))

/** What the two tokens of an id say; null where they are hashes. */
export function partsOf(id: string): { queueId: QueueId; n: RecipientKey | null } | null {
  const [first, second] = id.split('.')
  const queueId = QueueId.safeParse(first)
  if (!queueId.success) return null
  const n = RecipientKey.safeParse(second)
  return { queueId: queueId.data, n: n.success ? n.data : null }
}

/** `mail.dead.v1.<stream>.<reason>.<queueId>.<n>` */
const idOf = (subject: string): string => subject.split('.').slice(-2).join('.')

async function subjectsById(copies: DeadCopies, limit: number): Promise<Map<string, string[]>> {
  const named = new Map<string, string[]>()
  for await (const page of copies.subjects()) {
    for (const subject of page) {
      const subjects = named.get(idOf(subject))
      if (subjects) subjects.push(subject)
      else if (named.size < limit) named.set(idOf(subject), [subject])
    }
  }
  return named
}

async function copiesOn(copies: DeadCopies, subjects: readonly string[]): Promise<DeadCopy[]> {
  const found = await Promise.all(subjects.map((subject) => copies.find(subject)))
  return found.filter((copy) => copy !== null)
}

async function describe(books: LetterPorts['books'], id: string, found: readonly DeadCopy[]): Promise<DeadLetter> {
  const copies = found.map(({ letter }) => {
    const { stream, sequence, reason, detail, subject, at } = letter
    return { stream, sequence, reason, detail, subject, at }
  })
  const parts = partsOf(id)
  const page = parts && (await books.find(parts.queueId))
  if (!parts || !page) return { id, copies }
  const { queueId, n } = parts
  const tracked = page.recipients.find((one) => one.n === n)
  const { reversePath } = page.entry
  if (!tracked) return { id, queueId, reversePath, copies }
  const { n: key, listing } = tracked
  return { id, queueId, n: key, reversePath, forwardPath: listing?.final.forwardPath, state: stateOf(tracked), copies }
}
