/**
 * One message, one next hop, the recipients still open: hosts are tried in order until every recipient has a final word.
 *
 * A host that cannot be spoken to, or says "later", leaves the next one to try; what it says for good is believed. After the
 * final dot without an answer no other host is tried: the message may have been taken, and a second copy helps nobody.
 *
 * STANDARDS  RFC 5321 §4.5.4, §5.1; RFC 1047; RFC 8689 §4.2.1
 */
import type { MailOut } from '@postbus/contracts'

import type { Destination, Host } from './destination.ts'
import { fitToPeer, type Message } from './fit.ts'
import { meansTooMany, verdictOf } from './reply.ts'
import { type Answer, type OpenSession, type Session, SessionFailed, TlsMissing } from './session.ts'

export interface DeliverPorts {
  destination(): Promise<Destination>
  open: OpenSession
  message: Message
  /** Whether another host may still be tried. */
  hasTime(): boolean
  /** Whether a peer that calls itself this is ourselves. */
  isOurselves(name: string): boolean
}

export type RecipientOutcome =
  | { kind: 'relayed'; mxHost: string; reply: string; dsn: boolean }
  | { kind: 'deferred'; status: `4.${number}.${number}`; reason: string; reply?: string; mxHost?: string }
  | { kind: 'failed'; status: `5.${number}.${number}`; reason: string; reply?: string; mxHost?: string; rule?: string }

type Outcomes = Map<MailOut, RecipientOutcome>

/** @param tasks all of one message, route and reverse-path. Never throws for what a peer or DNS did: that is an outcome. */
export async function deliver(tasks: readonly [MailOut, ...MailOut[]], ports: DeliverPorts): Promise<Outcomes> {
  const [{ requireTls }] = tasks
  const destination = await lookUp(ports)
  if (destination.kind !== 'hosts') return new Map(tasks.map((task) => [task, destination]))

  const final: Outcomes = new Map()
  /** What was said last about a recipient that another host may still take. */
  const noted: Outcomes = new Map()
  const open = (): MailOut[] => tasks.filter((task) => !final.has(task))
  const noteAll = (outcome: RecipientOutcome): void => {
    for (const task of open()) note(noted, task, outcome)
  }

  for (const host of destination.hosts) {
    if (open().length === 0 || (host !== destination.hosts[0] && !ports.hasTime())) break
    try {
      let session = await ports.open(host, { requireTls, fresh: false })
      if ((await converse(session, host)) === 'stale') {
        session = await ports.open(host, { requireTls, fresh: true })
        await converse(session, host)
      }
    } catch (error) {
      if (error instanceof SessionFailed) noteAll(unreachable(error, host))
      else if (error instanceof TlsMissing) noteAll(tlsMissing(error, host))
      else throw error
    }
  }
  for (const task of open()) final.set(task, noted.get(task) ?? nobodyThere)
  return final

  /** `stale`: the session had been closed while it waited; nothing was said about the message. */
  async function converse(session: Session, host: Host): Promise<'stale' | 'done'> {
    try {
      if (ports.isOurselves(session.peer.name)) {
        const loop = {
          kind: 'failed',
          status: '5.4.6',
          reason: 'The next host is ourselves',
          mxHost: host.name,
        } as const
        for (const task of open()) final.set(task, loop)
        return 'done'
      }
      for (;;) {
        const [first, ...rest] = open()
        if (first === undefined) return 'done'
        const fitted = await fitToPeer([first, ...rest], session.peer, ports.message)
        const { transaction, form, tasks: fitting, unfit } = fitted
        // Another host of the site may offer what this one lacks.
        for (const [task, reason] of unfit) note(noted, task, { kind: 'failed', ...reason, mxHost: host.name })
        if (transaction === null) return 'done'
        const answers = await session.send(transaction, ports.message.read(form))
        if (session.reused && answers.every((answer) => answer.kind === 'broken' && !answer.afterDot)) return 'stale'
        const { accepted, crowdedOut } = settle(fitting, answers, host, session)
        // RFC 5321 §4.5.3.1.10: those who did not fit go into a transaction of their own, at once.
        if (accepted === 0 || crowdedOut === 0) return 'done'
      }
    } finally {
      session.release()
    }
  }

  function settle(fitting: readonly MailOut[], answers: readonly Answer[], host: Host, { peer }: Session) {
    const mxHost = host.name
    let accepted = 0
    let crowdedOut = 0
    for (const [index, task] of fitting.entries()) {
      const answer = answers[index]
      if (answer?.kind === 'accepted') {
        accepted++
        final.set(task, { kind: 'relayed', mxHost, reply: answer.reply, dsn: peer.offers('DSN') })
      } else if (answer?.kind === 'refused') {
        if (meansTooMany(answer.reply)) crowdedOut++
        const verdict = { ...verdictOf(answer.reply), reply: answer.reply.text, mxHost }
        if (verdict.kind === 'failed') final.set(task, verdict)
        else note(noted, task, verdict)
      } else {
        // RFC 3463 §3.5: 4.4.2, bad connection.
        const reason = answer?.reason ?? 'The next host gave no answer'
        const broken: RecipientOutcome = { kind: 'deferred', status: '4.4.2', reason, mxHost }
        if (answer?.afterDot) final.set(task, broken)
        else note(noted, task, broken)
      }
    }
    return { accepted, crowdedOut }
  }
}

async function lookUp(
  ports: DeliverPorts,
): Promise<Extract<Destination, { kind: 'hosts' }> | Extract<RecipientOutcome, { reason: string }>> {
  try {
    const destination = await ports.destination()
    if (destination.kind === 'hosts') return destination
    if (destination.kind === 'impossible') return { ...destination, kind: 'failed' }
    return { ...destination, kind: 'deferred' }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { kind: 'deferred', status: '4.4.3', reason: `DNS cannot tell: ${why}` }
  }
}

/** A host that may do better later outweighs one that never will: it keeps the recipient open. */
function note(noted: Outcomes, task: MailOut, outcome: RecipientOutcome): void {
  if (outcome.kind === 'failed' && noted.get(task)?.kind === 'deferred') return
  noted.set(task, outcome)
}

const nobodyThere: RecipientOutcome = { kind: 'deferred', status: '4.4.4', reason: 'No host could be tried' }

function unreachable({ message, reply }: SessionFailed, { name }: Host): RecipientOutcome {
  const verdict = reply === undefined ? null : verdictOf({ to: 'session', text: reply })
  if (reply !== undefined && verdict?.kind === 'deferred') return { ...verdict, reply, mxHost: name }
  // RFC 3463 §3.5: 4.4.1, no answer from host.
  return { kind: 'deferred', status: '4.4.1', reason: message, mxHost: name }
}

/** RFC 8689 §4.2.1: no less safe way may be taken. Certificates are repaired, so this is not for good. */
function tlsMissing({ message }: TlsMissing, { name }: Host): RecipientOutcome {
  return { kind: 'deferred', status: '4.7.10', reason: message, mxHost: name }
}
