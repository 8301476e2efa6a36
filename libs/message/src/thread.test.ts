import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  orderedSubjectThreads,
  referencesThreads,
  TooManyIdentifiers,
  type ThreadMessage,
  type Threads,
} from './thread.ts'

let uid = 0
/** `name` is the identifier; the date is the place in the mailbox unless given. */
function message(name: string | null, references = '', more: Partial<ThreadMessage> = {}): ThreadMessage {
  uid++
  const ids = references === '' ? [] : references.split(' ').map((id) => `<${id}@x>`)
  const messageId = name === null ? null : `<${name}@x>`
  return { uid, at: uid, subject: '', isReply: false, messageId, references: ids, ...more }
}

function threaded(threads: Threads, messages: readonly ThreadMessage[]): string {
  for (const each of messages) threads.add(each)
  return [...threads.pieces(10)].join('')
}

const references = (...messages: ThreadMessage[]): string => threaded(referencesThreads(), messages)
const orderedSubject = (...messages: ThreadMessage[]): string => threaded(orderedSubjectThreads(), messages)

/** Tests count their messages from 1. */
function numbered(name: string, run: () => void): void {
  void test(name, () => {
    uid = 0
    run()
  })
}

numbered('a chain is one list, branches have lists of their own', () => {
  assert.equal(
    references(message('a'), message('b', 'a'), message('c', 'a b'), message('d', 'a'), message('e')),
    '(1 (2 3)(4))(5)',
  )
})

numbered('answers that came first find their parent when it comes', () => {
  assert.equal(references(message('c', 'a b'), message('b', 'a'), message('a')), '(3 2 1)')
})

numbered('a missing parent is left out; missing roots keep their children together', () => {
  assert.equal(references(message('a'), message('c', 'a gone')), '(1 2)')
  uid = 0
  assert.equal(references(message('b', 'gone'), message('c', 'gone')), '((1)(2))')
  uid = 0
  assert.equal(references(message('b', 'gone'), message('x')), '(1)(2)')
})

numbered('a loop is never made', () => {
  assert.equal(references(message('a', 'b'), message('b', 'a')), '(2 1)')
  uid = 0
  assert.equal(references(message('a', 'a')), '(1)')
  uid = 0
  assert.equal(references(message('x', 'a b c'), message('a', 'c'), message('c')), '(2)(3 1)')
})

numbered('its own word about its parent counts more than that of others', () => {
  assert.equal(references(message('r'), message('x', 'r b'), message('b', 'r2'), message('r2')), '(1)(4 3 2)')
  uid = 0
  // And that it has none.
  assert.equal(references(message('r'), message('x', 'r b'), message('b')), '(1)(3 2)')
})

numbered('of two messages with one identifier the first has it', () => {
  assert.equal(references(message('a'), message('a'), message('b', 'a'), message(null)), '(1 3)(2)(4)')
})

numbered('siblings and threads are in the order of their dates, then of the mailbox', () => {
  const at = (time: number) => ({ at: time })
  assert.equal(
    references(
      message('a', '', at(9)),
      message('b', 'a', at(8)),
      message('c', 'a', at(7)),
      message('d', '', at(1)),
      message('e', '', at(9)),
    ),
    '(4)(1 (3)(2))(5)',
  )
  uid = 0
  // A thread without a root is as old as its first child.
  assert.equal(
    references(message('x', '', at(5)), message('b', 'gone', at(9)), message('c', 'gone', at(2))),
    '((3)(2))(1)',
  )
})

numbered('threads of one subject are gathered', () => {
  const about = (subject: string, isReply = false) => ({ subject, isReply })
  // A reply below the message it is about, wherever each stands.
  assert.equal(references(message('a', '', about('S')), message('b', '', about('S', true))), '(1 2)')
  uid = 0
  assert.equal(references(message('a', '', about('S', true)), message('b', '', about('S'))), '(2 1)')
  uid = 0
  // Two that are no replies, or both are: beside each other.
  assert.equal(
    references(message('a', '', about('S')), message('b', '', about('S')), message('c', '', about('S'))),
    '((1)(2)(3))',
  )
  uid = 0
  assert.equal(references(message('a', '', about('S', true)), message('b', '', about('S', true))), '((1)(2))')
  uid = 0
  // Threads without a root: children of both, or one more child.
  assert.equal(
    references(
      ...[message('a', 'gone', about('S', true)), message('b', 'gone', about('S', true))],
      ...[message('c', 'lost', about('S', true)), message('d', 'lost', about('S', true)), message('e', '', about('S'))],
    ),
    '((1)(2)(3)(4)(5))',
  )
  uid = 0
  assert.equal(references(message('a'), message('b')), '(1)(2)', 'an empty subject gathers nothing')
})

numbered('a thread as deep as a long mailbox, and identifiers without end', () => {
  const chain = Array.from({ length: 50_000 }, (_, index) => message(`m${index}`, index === 0 ? '' : `m${index - 1}`))
  assert.match(references(...chain), /^\(1 2 3 .* 50000\)$/)
  const hostile = referencesThreads(100)
  assert.throws(() => {
    for (;;) hostile.add(message(`m${uid}`))
  }, TooManyIdentifiers)
})

numbered('pieces never cut a number', () => {
  const threads = referencesThreads()
  for (let index = 0; index < 200; index++) threads.add(message(null))
  for (const piece of threads.pieces(7)) assert.match(piece, /^[()]*([0-9]+ ?[()]*)*$/)
})

numbered('ORDEREDSUBJECT: the first of a subject, the others its children', () => {
  const about = (subject: string, at: number) => ({ subject, at })
  const messages = [
    message('a', '', about('X', 5)),
    message('b', '', about('Y', 1)),
    message('c', '', about('X', 2)),
    message('d', '', about('X', 9)),
  ]
  assert.equal(orderedSubject(...messages), '(2)(3 (1)(4))')
  uid = 0
  assert.equal(orderedSubject(message('a', '', about('X', 1)), message('b', '', about('X', 1))), '(1 2)')
})
