/**
 * One message, one next hop, the recipients still open: hosts are tried in order until every recipient has a final word.
 *
 * A host that cannot be spoken to, or says "later", leaves the next one to try; what it says for good is believed. After the
 * final dot without an answer no other host is tried: the message may have been taken, and a second copy helps nobody.
 *
 * STANDARDS  RFC 5321 §4.5.4, §5.1; RFC 1047; RFC 8689 §4.2.1
 */
import type { MailOut } from '@postbus/contracts'

import type { SiteNews } from '../lanes/site-news.ts'
import type { Classify, Retry, Verdict } from './classify.ts'
import { type Destination, type Host, orTemporary } from './destination.ts'
import { fitToPeer, type Message } from './fit.ts'
import { type Answer, type OpenSession, type Session, SessionFailed, TlsMissing } from './session.ts'
import { SiteReport } from './site-report.ts'

export interface DeliverPorts {
  destination(): Promise<Destination>
  open: OpenSession
  message: Message
  classify: Classify
  /** Whether another host may still be tried. */
  hasTime(): boolean
  /** Whether a peer that calls itself this is ourselves. */
  isOurselves(name: string): boolean
}

export type RecipientOutcome =
  | { kind: 'relayed'; mxHost: string; reply: string; dsn: boolean }
  | {
      kind: 'deferred'
      status: `4.${number}.${number}`
      reason: string
      reply?: string
      mxHost?: string
      retry?: Retry
    }
  | { kind: 'failed'; status: `5.${number}.${number}`; reason: string; reply?: string; mxHost?: string; rule?: string }

type Outcomes = Map<MailOut, RecipientOutcome>

export interface Delivered {
  /** One for every task. */
  outcomes: ReadonlyMap<MailOut, RecipientOutcome>
  news: SiteNews
}

/**
 * @param tasks all of one message, route and reverse-path. Never throws for what a peer or DNS did: that is an outcome.
 * @throws what `message` throws: before anything was said of it, or with the session cut off
 */
export async function deliver(tasks: readonly [MailOut, ...MailOut[]], ports: DeliverPorts): Promise<Delivered> {
  const [{ requireTls }] = tasks
  const destination = await lookUp(ports)
  if (destination.kind !== 'hosts') {
    // Without DNS nobody gets there; a name that cannot be is an answer.
    const news: SiteNews = destination.kind === 'deferred' ? { ...destination, kind: 'trouble' } : { kind: 'well' }
    return { outcomes: new Map(tasks.map((task) => [task, destination])), news }
  }

  const report = new SiteReport()
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
      if (error instanceof SessionFailed) {
        const { site, outcome } = unreachable(error, host, ports.classify)
        report.heard(site, outcome)
        noteAll(outcome)
      } else if (error instanceof TlsMissing) {
        const outcome = tlsMissing(error, host)
        // Where only this message asks for TLS, others fare better.
        if (requireTls) report.answered()
        else report.heard('trouble', outcome)
        noteAll(outcome)
      } else if (final.size > 0) {
        // What is known of the others must reach the ledger; RFC 3463 §3.4: 4.3.0, other or undefined mail system status.
        const reason = error instanceof Error ? error.message : String(error)
        noteAll({ kind: 'deferred', status: '4.3.0', reason })
      } else throw error
    }
  }
  for (const task of open()) final.set(task, noted.get(task) ?? nobodyThere)
  return { outcomes: final, news: report.news }

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
        report.answered()
        for (const task of open()) final.set(task, loop)
        return 'done'
      }
      for (;;) {
        const [first, ...rest] = open()
        if (first === undefined) return 'done'
        const fitted = await fitToPeer([first, ...rest], session.peer, ports.message)
        const { transaction, form, tasks: fitting, unfit } = fitted
        // Another host of the site may offer what this one lacks.
        if (unfit.size > 0) report.answered()
        for (const [task, reason] of unfit) note(noted, task, { kind: 'failed', ...reason, mxHost: host.name })
        if (transaction === null) return 'done'
        const answers = await session.send(transaction, ports.message.read(form))
        if (session.reused && answers.every(isGoodbye)) return 'stale'
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
        report.answered()
        final.set(task, { kind: 'relayed', mxHost, reply: answer.reply, dsn: peer.offers('DSN') })
      } else if (answer?.kind === 'refused') {
        const { site, crowded, outcome } = read(ports.classify(answer.reply, mxHost), answer.reply.text, mxHost)
        report.heard(site, outcome)
        if (crowded) crowdedOut++
        if (outcome.kind === 'failed' && answer.reply.to !== 'session') final.set(task, outcome)
        else note(noted, task, outcome)
      } else {
        // RFC 3463 §3.5: 4.4.2, bad connection.
        const reason = answer?.reason ?? 'The next host gave no answer'
        const broken = { kind: 'deferred', status: '4.4.2', reason, mxHost } as const
        report.heard('trouble', broken)
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
  const destination = await orTemporary(ports.destination)
  if (destination.kind === 'hosts') return destination
  return destination.kind === 'impossible' ? { ...destination, kind: 'failed' } : { ...destination, kind: 'deferred' }
}

/** RFC 5321 §3.8: a session that waited may be closed with a 421 or without one. */
const isGoodbye = (answer: Answer): boolean =>
  answer.kind === 'broken' ? !answer.afterDot : answer.kind === 'refused' && answer.reply.text.startsWith('421')

/** A host that may do better later outweighs one that never will: it keeps the recipient open. */
function note(noted: Outcomes, task: MailOut, outcome: RecipientOutcome): void {
  if (outcome.kind === 'failed' && noted.get(task)?.kind === 'deferred') return
  noted.set(task, outcome)
}

const nobodyThere: RecipientOutcome = { kind: 'deferred', status: '4.4.4', reason: 'No host could be tried' }

/** A verdict as the recipient's outcome, and what goes beyond the recipient. */
function read({ site, crowded, rule: _, ...said }: Verdict, reply: string, mxHost: string) {
  return { site, crowded, outcome: { ...said, reply, mxHost } }
}

/** What was said before MAIL may be for good, but for this host only: another one may still take it. */
function unreachable({ message, reply }: SessionFailed, { name }: Host, classify: Classify) {
  if (reply !== undefined) return read(classify({ to: 'session', text: reply }, name), reply, name)
  // RFC 3463 §3.5: 4.4.1, no answer from host.
  const outcome = { kind: 'deferred', status: '4.4.1', reason: message, mxHost: name } as const
  return { site: 'trouble', outcome } as const
}

/** RFC 8689 §4.2.1: no less safe way may be taken. Certificates are repaired, so this is not for good. */
const tlsMissing = ({ message }: TlsMissing, { name }: Host) =>
  ({ kind: 'deferred', status: '4.7.10', reason: message, mxHost: name }) as const
