/**
 * Decide where one accepted message goes next, recipient by recipient.
 *
 * Every original recipient is settled independently, in the order of the envelope. The same mailbox, or the same remote
 * address with the same reverse-path, is served once for the whole message; later mentions are `merged` into the first.
 * The plan is a function of the event and the directory: a second run numbers every recipient alike.
 *
 * STANDARDS  RFC 5321 §2.3.11, §3.9, §5.1; RFC 3463 (statuses)
 */
import {
  entryOf,
  laneOf,
  type MailAccepted,
  type MailLocal,
  type MailOut,
  MAX_RECIPIENTS_PER_PAGE,
  type Recipient,
  type RecipientKey,
  recipientKey,
  shardOf,
  type Status,
  taskOf,
} from '@postbus/contracts'

import { comparable, expand, type ExpansionLimits, type Resolve } from './expand.ts'
import { type End, type Final, finalRecipients, TOO_MANY } from './final-recipients.ts'

type Routed = Extract<Status, { kind: 'routed' }>
type FinalRecipient = Routed['recipients'][number]

export interface RouteLimits extends ExpansionLimits {
  /** Final recipients of one message, merged ones included. An original recipient that would go over it fails. */
  maxRecipients: number
  /** From acceptance to expiry — RFC 5321 §4.5.4.1. */
  maxQueueTimeMs: number
  /** Shards of the outgoing stream. */
  shards: number
}

export interface RoutePorts {
  resolve: Resolve
  now(): Date
}

export interface Route {
  /** `routed` for every original recipient, then the ends this run decided. In the books before any work is published. */
  statuses: Status[]
  local: MailLocal[]
  out: MailOut[]
}

export async function routeMessage(event: MailAccepted, ports: RoutePorts, limits: RouteLimits): Promise<Route> {
  const { envelope } = event
  const message = entryOf(event)
  const { queueId, incarnation } = event
  const at = ports.now().toISOString()
  const expiresAt = new Date(Date.parse(event.acceptedAt) + limits.maxQueueTimeMs).toISOString()
  const forwardPaths = envelope.recipients.map(({ forwardPath }) => forwardPath)
  const roots = await expand(forwardPaths, envelope.reversePath, ports.resolve, limits)

  const route: Route = { statuses: [], local: [], out: [] }
  const ends: Status[] = []
  const served = new Map<string, RecipientKey>()
  const mentions = new Map<string, number>()
  let room = limits.maxRecipients

  for (const [index, recipient] of envelope.recipients.entries()) {
    const root = roots[index]
    if (root === undefined) throw new Error('an original recipient was not expanded')
    // One place is kept for every recipient still to come, so that a huge list cannot push out its neighbours.
    const found = finalRecipients(root, Math.max(1, room - (envelope.recipients.length - index - 1)))
    const finals = found === TOO_MANY ? [refused(recipient, envelope.reversePath)] : found
    room = Math.max(0, room - finals.length)

    const name = mention(recipient.forwardPath, mentions)
    const numbered = new Map<RecipientKey, Final>()
    for (const final of finals) {
      const n = recipientKey(name, finalName(final, envelope.reversePath))
      if (!numbered.has(n)) numbered.set(n, final)
    }
    const several = numbered.size > 1
    const recipients = [...numbered].map(([n, final]) => settle(n, final, recipient, several))
    route.statuses.push(...pages(index, recipient, recipients))
  }
  route.statuses.push(...ends)
  return route

  /** Where one final recipient goes; its work or its end is noted on the way. */
  function settle(
    n: RecipientKey,
    { forwardPath, reversePath, end }: Final,
    original: Recipient,
    several: boolean,
  ): FinalRecipient {
    // What a list does with its members is told to its owner — RFC 3461 §5.2.7.3.
    const expanded = several && reversePath === envelope.reversePath
    const final = { n, forwardPath, reversePath, ...(expanded && { expanded }) }
    const task = () => taskOf(message, original, final)
    switch (end.kind) {
      case 'local': {
        const into = serve(`local\0${end.account}`, n)
        if (into) return { ...final, destination: { kind: 'merged', into } }
        const { account, detail } = end
        route.local.push({ ...task(), account, detail })
        return { ...final, destination: { kind: 'local', account, detail } }
      }
      case 'remote': {
        const into = serve(`remote\0${reversePath}\0${comparable(forwardPath)}`, n)
        if (into) return { ...final, destination: { kind: 'merged', into } }
        const { site } = end
        const shard = shardOf(laneOf(site), limits.shards)
        const submitter = message.account
        route.out.push({ ...task(), site, shard, attempt: 1, expiresAt, spills: 0, ...(submitter && { submitter }) })
        return { ...final, destination: { kind: 'remote', site, shard, expiresAt } }
      }
      case 'discarded':
        ends.push({ kind: 'discarded', queueId, incarnation, at, n, attempt: 0, rule: end.rule })
        return { ...final, destination: { kind: 'ended' } }
      case 'failed':
        ends.push({ kind: 'failed', queueId, incarnation, at, n, attempt: 0, rule: end.why, ...refusals[end.why] })
        return { ...final, destination: { kind: 'ended' } }
    }
  }

  /** Who is served under this key already; the first one is nobody's copy. */
  function serve(key: string, n: RecipientKey): RecipientKey | undefined {
    const into = served.get(key)
    if (into === undefined) served.set(key, n)
    return into
  }

  function pages(original: number, recipient: Recipient, recipients: FinalRecipient[]): Routed[] {
    const count = Math.ceil(recipients.length / MAX_RECIPIENTS_PER_PAGE)
    return Array.from({ length: count }, (_, page) => ({
      kind: 'routed',
      queueId,
      incarnation,
      at,
      original,
      originals: envelope.recipients.length,
      page: page + 1,
      pages: count,
      ...(page === 0 && { recipient }),
      ...(page === 0 && original === 0 && { message }),
      recipients: recipients.slice(page * MAX_RECIPIENTS_PER_PAGE, (page + 1) * MAX_RECIPIENTS_PER_PAGE),
    }))
  }
}

/** RFC 3463 §3.2–3.5. `5.2.4`: the list could not be expanded. */
const refusals = {
  unknown: { status: '5.1.1', reason: 'No such mailbox' },
  disabled: { status: '5.2.1', reason: 'The mailbox does not accept messages' },
  loop: { status: '5.4.6', reason: 'The address leads back to itself' },
  tooDeep: { status: '5.4.6', reason: 'The address leads through too many others' },
  empty: { status: '5.2.4', reason: 'The address stands for nobody' },
  tooMany: { status: '5.2.4', reason: 'The address stands for too many recipients' },
} as const satisfies Record<Extract<End, { kind: 'failed' }>['why'], { status: `5.${string}`; reason: string }>

const refused = ({ forwardPath }: Recipient, reversePath: string): Final => ({
  forwardPath,
  reversePath,
  end: { kind: 'failed', why: 'tooMany' },
})

/** A recipient the client named twice is two original recipients; the second one's numbers must differ. */
function mention(forwardPath: string, mentions: Map<string, number>): string {
  const count = mentions.get(forwardPath) ?? 0
  mentions.set(forwardPath, count + 1)
  return count === 0 ? forwardPath : `${forwardPath}\0${count}`
}

/** What tells the final recipients of one original recipient apart. */
function finalName({ forwardPath, reversePath, end }: Final, sender: string): string {
  const address = comparable(forwardPath)
  const target = end.kind === 'local' ? `${address}\0${end.account}` : address
  // One address may be reached as the author's and as a list's recipient: two messages, with different reverse-paths.
  return reversePath === sender || end.kind === 'local' ? target : `${target}\0${reversePath}`
}
