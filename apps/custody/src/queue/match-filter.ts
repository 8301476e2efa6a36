/** Which open outgoing recipients an operator means. What an index can answer is asked of the books; the rest is looked at here. */
import type { QueuedRecipient, QueueFilter } from '@postbus/contracts'

import type { QueueRange } from '../tracking/books.ts'

/** The part an index answers; it never leaves out what `matches` takes. */
export function rangeOf({ queueId, n, site, states, after, before }: QueueFilter): QueueRange {
  return {
    ...{ queueId, n },
    setAside: states?.every((state) => state === 'held' || state === 'dead'),
    site: site === undefined || isDomainAndBelow(site) ? undefined : site.toLowerCase(),
    after: after === undefined ? undefined : Date.parse(after),
    before: before === undefined ? undefined : Date.parse(before),
  }
}

/** Nothing but the state is left to look at. */
export function isRangeOnly({ site, sender, recipient, account, reason }: QueueFilter): boolean {
  const others = [sender, recipient, account, reason]
  return others.every((condition) => condition === undefined) && (site === undefined || !isDomainAndBelow(site))
}

export function matches(queued: QueuedRecipient, filter: QueueFilter): boolean {
  const { queueId, n, site, sender, recipient, account, states, before, after, reason } = filter
  return (
    (queueId === undefined || queued.queueId === queueId) &&
    (n === undefined || queued.n === n) &&
    (site === undefined || isSite(queued.site, site.toLowerCase())) &&
    (sender === undefined || isAddress(queued.reversePath, sender)) &&
    (recipient === undefined || isAddress(queued.forwardPath, recipient)) &&
    (account === undefined || queued.account === account) &&
    (states === undefined || states.includes(queued.state)) &&
    (before === undefined || Date.parse(queued.acceptedAt) < Date.parse(before)) &&
    (after === undefined || Date.parse(queued.acceptedAt) > Date.parse(after)) &&
    (reason === undefined || queued.reason?.toLowerCase().includes(reason.toLowerCase()) === true)
  )
}

const isDomainAndBelow = (site: string): boolean => site.startsWith('.')

function isSite(site: string, wanted: string): boolean {
  return isDomainAndBelow(wanted) ? site === wanted.slice(1) || site.endsWith(wanted) : site === wanted
}

/** @param wanted a whole address, `@domain`, or `<>` */
function isAddress(path: string, wanted: string): boolean {
  if (wanted === '<>') return path === ''
  const [have, want] = [path.toLowerCase(), wanted.toLowerCase()]
  return want.startsWith('@') ? have.endsWith(want) : have === want
}
