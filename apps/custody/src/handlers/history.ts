/** custody.history: what the books kept of one recipient. */
import { RequestRefused } from '@postbus/bus'
import type { recipientHistory } from '@postbus/contracts'
import type { z } from 'zod'

import type { Books } from '../tracking/books.ts'
import { stateOf } from '../tracking/sheet.ts'

export function onHistory({ findHistory, isKnown }: Pick<Books, 'findHistory' | 'isKnown'>) {
  return async ({
    queueId,
    n,
  }: z.output<typeof recipientHistory.input>): Promise<z.input<typeof recipientHistory.output>> => {
    const page = await findHistory(queueId, n)
    if (page === null) {
      if (await isKnown(queueId)) throw new RequestRefused('noSuchRecipient', 'the message has no such recipient')
      throw new RequestRefused('noSuchMessage', 'nothing is known of this queue id')
    }
    const { report, delayReport, listing } = page.tracked
    const destination = listing?.final.destination
    // Of a merged recipient there is nothing but what became of the one in its place.
    const first = destination?.kind === 'merged' ? await findHistory(queueId, destination.into) : null
    const { tracked, superseded, laterReports } = first ?? page
    const { status } = tracked
    return {
      forwardPath: page.forwardPath,
      state: stateOf(tracked),
      ...(listing && { routedAt: listing.at }),
      history: status === null ? superseded : [...superseded, status],
      ...(report !== null && { report }),
      ...(delayReport !== null && { delayReport }),
      laterReports,
    }
  }
}
