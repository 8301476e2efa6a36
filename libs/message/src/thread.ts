/**
 * Messages into threads. Both algorithms take the messages in the order of the mailbox and give IMAP's thread lists, with
 * UIDs for numbers; every walk over a tree is a loop, for a thread may be as deep as the mailbox is long.
 *
 * STANDARDS  RFC 5256 §3 (ORDEREDSUBJECT, REFERENCES), §5 (thread-list)
 */

export interface ThreadMessage {
  uid: number
  /** Sent date, or the internal date without one: milliseconds — RFC 5256 §2.2. */
  at: number
  /** Base subject in the form of i;unicode-casemap. */
  subject: string
  isReply: boolean
  messageId: string | null
  references: readonly string[]
}

export interface Threads {
  add(message: ThreadMessage): void
  /** The thread lists, in pieces of about this many characters; no number is cut. Once, when all have been added. */
  pieces(length: number): Generator<string>
}

/** More identifiers than a mailbox can be threaded by in the memory there is. */
export class TooManyIdentifiers extends Error {
  override readonly name = 'TooManyIdentifiers'
}

/** One message of a tree; `uid` 0 is a dummy, which stands for a message that is not here. */
interface Container {
  uid: number
  /** Place in the mailbox: decides between equal dates. */
  order: number
  at: number
  subject: string
  isReply: boolean
  parent: Container | null
  children: Container[]
  /** The group it was ever linked with: members of different groups cannot be each other's ancestors. */
  group: Container | null
}

function container(order: number, message?: Omit<ThreadMessage, 'messageId' | 'references'>): Container {
  const { uid = 0, at = 0, subject = '', isReply = false } = message ?? {}
  return { uid, order, at, subject, isReply, parent: null, children: [], group: null }
}

const isDummy = ({ uid }: Container): boolean => uid === 0

/** Messages of one base subject are a thread: the first in time, and all others as its children. */
export function orderedSubjectThreads(): Threads {
  const threads = new Map<string, Container[]>()
  let order = 0
  return {
    add(message) {
      const member = container(order++, message)
      const thread = threads.get(message.subject)
      if (thread === undefined) threads.set(message.subject, [member])
      else thread.push(member)
    },
    *pieces(length) {
      const roots: Container[] = []
      for (const members of threads.values()) {
        const [first, ...others] = members.sort(byDate)
        if (first === undefined) continue
        first.children = others
        roots.push(first)
      }
      yield* inPieces(tokens(roots.sort(byDate)), length)
    },
  }
}

/** @param maxCharacters of all identifiers together. `add` throws TooManyIdentifiers beyond */
export function referencesThreads(maxCharacters = 64 * 1024 * 1024): Threads {
  const byId = new Map<string, Container>()
  const all: Container[] = []
  let room = maxCharacters
  let order = 0

  function named(id: string): Container {
    const known = byId.get(id)
    if (known !== undefined) return known
    room -= id.length
    if (room < 0) throw new TooManyIdentifiers(`identifiers of more than ${maxCharacters} characters`)
    const dummy = container(Infinity)
    byId.set(id, dummy)
    all.push(dummy)
    return dummy
  }

  /** Of several messages with one identifier only the first has it. */
  function place(message: ThreadMessage): Container {
    const known = message.messageId === null ? undefined : named(message.messageId)
    if (known === undefined || !isDummy(known)) {
      const own = container(order++, message)
      all.push(own)
      return own
    }
    const { uid, at, subject, isReply } = message
    return Object.assign(known, { uid, at, subject, isReply, order: order++ })
  }

  return {
    /** Step 1: links between a message and what it refers to. */
    add(message) {
      const own = place(message)
      let parent: Container | null = null
      for (const id of message.references) {
        const child = named(id)
        if (parent !== null && child.parent === null) link(child, parent)
        parent = child
      }
      // What others said of its parent may come from a shortened list; its own word counts.
      own.parent = null
      if (parent !== null) link(own, parent)
    },
    *pieces(length) {
      for (const each of all) each.parent?.children.push(each) // step 2: those without parents are the roots
      const roots = all.filter(({ parent }) => parent === null)
      const pruned = pruneRoots(roots)
      const merged = mergeSubjects(sortRoots(pruned))
      sortSiblings(merged)
      yield* inPieces(tokens(sortRoots(merged)), length)
    },
  }
}

/** Unless the child is an ancestor of the parent: that would be a loop. */
function link(child: Container, parent: Container): void {
  const [mine, theirs] = [groupOf(child), groupOf(parent)]
  if (mine === theirs) {
    for (let above: Container | null = parent; above !== null; above = above.parent) if (above === child) return
  } else mine.group = theirs
  child.parent = parent
}

/** Shortens the way for the next one who asks. */
function groupOf(member: Container): Container {
  let at = member
  while (at.group !== null) {
    if (at.group.group !== null) at.group = at.group.group
    at = at.group
  }
  return at
}

/** Children before their parents. */
function deepestFirst(roots: readonly Container[]): Container[] {
  const found = [...roots]
  for (let at = 0; at < found.length; at++) for (const child of found[at]?.children ?? []) found.push(child)
  return found.reverse()
}

/** Step 3: dummies go; their children take their place, but never become roots unless there is only one. */
function pruneRoots(roots: readonly Container[]): Container[] {
  for (const each of deepestFirst(roots)) {
    if (each.children.some(isDummy)) {
      each.children = each.children.flatMap((child) => (isDummy(child) ? child.children : [child]))
    }
  }
  return roots.flatMap((root) => (isDummy(root) && root.children.length < 2 ? root.children : [root]))
}

/** Step 4. A dummy is as old as the first of its children. */
function sortRoots(roots: Container[]): Container[] {
  for (const root of roots) if (isDummy(root)) root.children.sort(byDate)
  return roots.sort((a, b) => byDate(firstOf(a), firstOf(b)))
}

const firstOf = (root: Container): Container => (isDummy(root) ? (root.children[0] ?? root) : root)

const byDate = (a: Container, b: Container): number => a.at - b.at || a.order - b.order

/** Step 5: threads of one subject become one. */
function mergeSubjects(roots: readonly Container[]): Container[] {
  const table = new Map<string, Container>()
  for (const root of roots) {
    const { subject } = firstOf(root)
    if (subject === '') continue
    const known = table.get(subject)
    if (known === undefined) table.set(subject, root)
    else if (!isDummy(known) && (isDummy(root) || (known.isReply && !root.isReply))) table.set(subject, root)
  }
  /** Null: the root has gone into another thread. */
  const stays = new Map<Container, Container | null>()
  for (const root of roots) {
    const { subject } = firstOf(root)
    const known = table.get(subject)
    if (known === undefined || known === root) continue
    stays.set(root, null)
    if (isDummy(known)) known.children = known.children.concat(isDummy(root) ? root.children : root)
    else if (root.isReply && !known.isReply) known.children.push(root)
    else {
      const dummy = container(Infinity)
      dummy.children = [known, root]
      table.set(subject, dummy)
      stays.set(known, dummy)
    }
  }
  return roots.flatMap((root) => {
    const now = stays.get(root)
    return now === undefined ? root : (now ?? [])
  })
}

/** Step 6, from the leaves up. */
function sortSiblings(roots: readonly Container[]): void {
  for (const each of deepestFirst(roots)) each.children.sort(byDate)
}

/** thread-list: a chain in one pair of parentheses, branches each in their own — RFC 5256 §5. */
function* tokens(roots: readonly Container[]): Generator<string> {
  for (const root of roots) {
    yield '('
    const waiting: (Container | string)[] = [root]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (typeof next === 'string') {
        yield next
        continue
      }
      const { children } = next
      if (!isDummy(next)) yield children.length === 0 ? String(next.uid) : `${next.uid} `
      if (children.length === 1) waiting.push(...children)
      else for (const child of children.toReversed()) waiting.push(')', child, '(')
    }
    yield ')'
  }
}

function* inPieces(texts: Iterable<string>, length: number): Generator<string> {
  let piece = ''
  for (const text of texts) {
    piece += text
    if (piece.length < length) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}
