/**
 * The base subject: what SORT and THREAD compare, without the marks of replies and forwards.
 *
 * STANDARDS  RFC 5256 §2.1
 */
import { decodeWords } from './encoded-words.ts'

const REPLY = /^(?:re|fwd?)[ \t]*(?:\[[^[\]]*\][ \t]*)?:/i
const BLOB = /^\[[^[\]]*\][ \t]*/

export interface BaseSubject {
  subject: string
  /** A mark of a reply or forward was taken away: THREAD=ORDEREDSUBJECT and REFERENCES want to know. */
  isReply: boolean
}

/** `value` is the unfolded field. Each step shortens the subject or ends, so the work is bounded by its length. */
export function baseSubject(value: string): BaseSubject {
  let subject = decodeWords(value).replaceAll(/[ \t\r\n]+/g, ' ')
  let isReply = false
  for (;;) {
    const before = subject
    subject = withoutTrailers(subject.trim(), () => (isReply = true))
    subject = withoutLeaders(subject, () => (isReply = true))
    // [fwd: …] around everything — step 6.
    if (/^\[fwd:/i.test(subject) && subject.endsWith(']')) {
      subject = subject.slice('[fwd:'.length, -1)
      isReply = true
    }
    if (subject === before) return { subject, isReply }
  }
}

/** Step 2: `(fwd)` at the end. */
function withoutTrailers(text: string, mark: () => void): string {
  let subject = text
  while (subject.slice(-TRAILER.length).toLowerCase() === TRAILER) {
    subject = subject.slice(0, -TRAILER.length).trimEnd()
    mark()
  }
  return subject
}

const TRAILER = '(fwd)'

/** Steps 3–5: `Re:` and `Fwd:` with any `[…]` before them; `[…]` alone, unless nothing else is left. */
function withoutLeaders(text: string, mark: () => void): string {
  let subject = text
  for (;;) {
    const { rest, last } = withoutBlobs(subject)
    const reply = REPLY.exec(rest)
    if (reply === null) return rest === '' ? last : rest
    subject = rest.slice(reply[0].length).trimStart()
    mark()
  }
}

/** What follows all `[…]`, and what the last of them begins. */
function withoutBlobs(text: string): { rest: string; last: string } {
  let rest = text
  let last = text
  for (let blob = BLOB.exec(rest); blob !== null; blob = BLOB.exec(rest)) {
    last = rest
    rest = rest.slice(blob[0].length)
  }
  return { rest, last }
}
