/** MAIL_DEAD, over the bus. */
import type { Bus } from '@postbus/bus'
import { MailDead, streamNames, streams } from '@postbus/contracts'

import type { DeadCopies } from '../dead/letters.ts'

/** Streams that somebody consumes, as they are called on the server. */
const sources = (shards: number): string[] =>
  [streams.accepted, streams.local, streams.out, streams.status].flatMap((stream) => streamNames(stream, shards))

export const deadLettersOn = (bus: Pick<Bus, 'subjects' | 'lookUp' | 'remove'>, shards: number): DeadCopies => ({
  subjects: () => bus.subjects(MailDead),
  subjectsOf: (id) =>
    sources(shards).flatMap((stream) =>
      MailDead.schema.shape.reason.options.map((reason) => `mail.dead.v1.${stream}.${reason}.${id}`),
    ),
  async find(subject) {
    const found = await bus.lookUp(MailDead, subject)
    return found && { letter: found.event, sequence: found.sequence }
  },
  async remove({ sequence }) {
    await bus.remove(MailDead, sequence)
  },
})
