/** postbus where: what became of every recipient of one message. */
import { QueueId, where } from '@postbus/contracts'

import { take, UsageError, type Command } from '../command.ts'
import { bytes, facts, table } from '../table.ts'

export const whereCommand: Command = {
  name: 'where',
  takes: '<queue-id>',
  summary: 'where a message is, recipient by recipient',
  async run({ bus, args }) {
    const [text] = take(args, '<queue-id>')
    const queueId = QueueId.safeParse(text.toUpperCase())
    if (!queueId.success)
      throw new UsageError(`a queue id has 26 letters and digits, as the 250 reply names it; not ${text}`)
    const value = await bus.request(where, { queueId: queueId.data })
    const head = facts({
      'queue id': value.queueId,
      from: value.reversePath === '' ? '<>' : value.reversePath,
      accepted: `${value.acceptedAt} (${value.origin})`,
      size: bytes(value.size),
      'Message-ID': value.messageId,
      spool: value.freedAt === undefined ? 'kept' : `freed ${value.freedAt}`,
    })
    const unrouted = value.originals
      .filter(({ routed }) => !routed)
      .map(({ recipient }) => [recipient.forwardPath, 'not yet routed', '', '', '', ''])
    const rows = value.recipients.map(({ forwardPath, state, at, detail, nextAttemptAt, report, unreported }) => [
      forwardPath,
      state,
      at,
      detail,
      nextAttemptAt === undefined ? '' : `next ${nextAttemptAt}`,
      report === undefined ? (unreported === undefined ? '' : `no report: ${unreported}`) : `reported in ${report}`,
    ])
    return {
      value,
      text: `${head}\n\n${table(['recipient', 'state', 'since', 'detail', '', ''], [...unrouted, ...rows])}`,
    }
  },
}
