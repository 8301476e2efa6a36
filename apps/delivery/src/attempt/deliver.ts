/**
 * One SMTP transaction: one message, one site, the recipients still open. Hosts are tried in order until one takes the
 * message or says something final; every recipient gets an outcome of its own.
 *
 * STANDARDS  RFC 5321 §4.5.4, §5.1; RFC 3461 §5.2 (relaying DSN parameters); RFC 6152 §3; RFC 6531 §3.2
 */
import type { Destination, Host } from './destination.ts'
import { verdictOf, type PeerReply, type Verdict } from './reply.ts'

export interface Transaction {
  site: string
  reversePath: string
  forwardPaths: readonly string[]
  size: number
  eightBit: boolean
  smtputf8: boolean
  dsn: {
    envid?: string | undefined
    ret?: 'FULL' | 'HDRS' | undefined
    notify?: readonly string[] | undefined
    orcpt?: string | undefined
  }
}

/** What a host said to a whole transaction. */
export type HostAnswer =
  | { kind: 'taken'; reply: string; dsn: boolean; refused: ReadonlyMap<string, PeerReply> }
  /** Every recipient refused, or the message: what was said, per recipient. */
  | { kind: 'refused'; replies: ReadonlyMap<string, PeerReply> }
  /** The host cannot be used at all, or not now: another one may. */
  | { kind: 'unusable'; reply: PeerReply }
  /** The host lacks what this message needs (SMTPUTF8); another one may have it. */
  | { kind: 'unable'; status: `5.${number}.${number}`; reason: string }

export interface DeliverPorts {
  destination(site: string): Promise<Destination>
  transact(host: Host, transaction: Transaction): Promise<HostAnswer>
}

export type RecipientOutcome =
  | { kind: 'relayed'; mxHost: string; reply: string; dsn: boolean }
  | {
      kind: 'deferred' | 'failed'
      status: `${4 | 5}.${number}.${number}`
      reason: string
      reply?: string
      mxHost?: string
    }

/** Outcomes by forward-path. Never throws for what a peer or DNS did: that is a deferral with its reason. */
export async function deliver(transaction: Transaction, ports: DeliverPorts): Promise<Map<string, RecipientOutcome>> {
  const { forwardPaths, site } = transaction
  const all = (outcome: RecipientOutcome): Map<string, RecipientOutcome> =>
    new Map(forwardPaths.map((forwardPath) => [forwardPath, outcome]))

  let destination: Destination
  try {
    destination = await ports.destination(site)
  } catch (error) {
    return all({ kind: 'deferred', status: '4.4.3', reason: `DNS cannot tell: ${messageOf(error)}` })
  }
  if (destination.kind === 'impossible')
    return all({ kind: 'failed', status: destination.status, reason: destination.reason })
  if (destination.kind === 'temporary')
    return all({ kind: 'deferred', status: destination.status, reason: destination.reason })

  const outcomes = new Map<string, RecipientOutcome>()
  const open = new Set(forwardPaths)
  let unable: RecipientOutcome | undefined
  for (const host of destination.hosts) {
    const answer = await ports.transact(host, { ...transaction, forwardPaths: [...open] })
    switch (answer.kind) {
      case 'taken':
        for (const forwardPath of open) {
          const refused = answer.refused.get(forwardPath)
          outcomes.set(
            forwardPath,
            refused === undefined
              ? { kind: 'relayed', mxHost: host.name, reply: answer.reply, dsn: answer.dsn }
              : recipientOutcome(verdictOf(refused, 'transaction'), host, refused.text),
          )
        }
        return outcomes
      case 'refused':
        // RFC 5321 §5.1: a host that answers for good is believed; one that says "later" leaves the next host to try.
        for (const [forwardPath, reply] of answer.replies) {
          const verdict = verdictOf(reply, 'transaction')
          outcomes.set(forwardPath, recipientOutcome(verdict, host, reply.text))
          if (verdict.kind === 'failed') open.delete(forwardPath)
        }
        break
      case 'unusable':
        for (const forwardPath of open) {
          outcomes.set(forwardPath, recipientOutcome(verdictOf(answer.reply, 'session'), host, answer.reply.text))
        }
        break
      case 'unable':
        unable = { kind: 'failed', status: answer.status, reason: answer.reason, mxHost: host.name }
    }
    if (open.size === 0) break
  }
  for (const forwardPath of open) if (!outcomes.has(forwardPath) && unable) outcomes.set(forwardPath, unable)
  return outcomes
}

function recipientOutcome({ kind, status, text }: Verdict, { name }: Host, reply: string): RecipientOutcome {
  return { kind, status, reason: text, reply, mxHost: name }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
