/** A message's life as a tree for people: what happened, when since it was accepted, and how long it took. */
import type { LifeEvent, MessageLife, RecipientLife } from './life.ts'

interface Node {
  text: string
  children: Node[]
}

export function drawLife(life: MessageLife): string {
  return lines(nodeOf(life)).join('\n')
}

function nodeOf(life: MessageLife): Node {
  const { queueId, reversePath, origin, account, size, acceptedAt, messageId, traceId, unrouted, recipients, more } =
    life
  const by = account === undefined ? origin : `${origin} of account ${account}`
  return {
    text: `${queueId}  from ${reversePath === '' ? '<>' : reversePath}, ${size} octets, accepted ${acceptedAt} by ${by}`,
    children: [
      ...(messageId === undefined ? [] : [leaf(`Message-ID ${messageId}`)]),
      ...(traceId === undefined ? [] : [leaf(`trace ${traceId}`)]),
      ...unrouted.map((path) => leaf(`${path}  not yet routed`)),
      ...recipients.map(ofRecipient),
      ...(more > 0 ? [leaf(`… and ${more} recipients more (--recipients shows more)`)] : []),
      leaf(life.freed ? eventText(life.freed) : 'in the spool, not at its end'),
    ],
  }
}

function ofRecipient({ original, forwardPath, state, events, reports }: RecipientLife): Node {
  const from = original === forwardPath ? '' : ` (from ${original})`
  return {
    text: `${forwardPath}${from}  ${state}`,
    children: [...events.map((event) => leaf(eventText(event))), ...reports.map(nodeOf)],
  }
}

const leaf = (text: string): Node => ({ text, children: [] })

/** `+0.043 s  relayed  attempt 1, 203 ms  mx.far.test: 250 Ok` */
export function eventText({ afterMs, what, detail, attempt, tookMs }: LifeEvent): string {
  const facts = [
    ...(attempt === undefined ? [] : [`attempt ${attempt}`]),
    ...(tookMs === undefined ? [] : [`${tookMs} ms`]),
  ]
  const parts = [`+${(afterMs / 1000).toFixed(3)} s`.padEnd(10), what, facts.join(', '), detail ?? '']
  return parts.filter((part) => part !== '').join('  ')
}

function lines({ text, children }: Node): string[] {
  const last = children.length - 1
  return [
    // What came over the bus may hold anything; a terminal must not obey it.
    text.replaceAll(/\p{Cc}/gu, '?'),
    ...children.flatMap((child, index) => {
      const [first = '', ...rest] = lines(child)
      const [here, below] = index === last ? ['└─ ', '   '] : ['├─ ', '│  ']
      return [`${here}${first}`, ...rest.map((line) => `${below}${line}`)]
    }),
  ]
}
