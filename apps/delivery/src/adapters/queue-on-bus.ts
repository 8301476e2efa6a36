/** The queue's copies on the bus, one by one. */
import { type Bus, ScheduleGone } from '@postbus/bus'
import {
  holdSubject,
  MailHold,
  MailOut,
  MailOutCancelled,
  MailOutLater,
  scheduleSubject,
  workSubject,
} from '@postbus/contracts'

import type { Queue } from '../queue/queue.ts'

export function queueOnBus(bus: Pick<Bus, 'lookUp' | 'publish' | 'remove'>): Queue {
  return {
    async look(where, place) {
      if (where === 'hold') {
        const held = await bus.lookUp(MailHold, holdSubject(place))
        return held && { task: held.event.task, sequence: held.sequence }
      }
      const [contract, subject] =
        where === 'work' ? [MailOut, workSubject(place)] : [MailOutLater, scheduleSubject(place)]
      const found = await bus.lookUp(contract, subject, place.shard)
      return found && { task: found.event, sequence: found.sequence }
    },

    async work(task, instead) {
      if (instead === undefined) {
        await bus.publish(MailOut, task)
        return true
      }
      const cancels = { subject: scheduleSubject(task), sequence: instead.sequence }
      return unlessGone(bus.publish(MailOut, task, { cancels }))
    },

    hold: (task, { at, rule }) => bus.publish(MailHold, { task, heldAt: at, rule }),

    async cancelSchedule({ queueId, n, shard, site }, { attempt, incarnation }, sequence) {
      const subject = scheduleSubject({ queueId, n, shard, site })
      const cancels = sequence === undefined ? { subject } : { subject, sequence }
      await unlessGone(bus.publish(MailOutCancelled, { queueId, n, shard, attempt, incarnation }, { cancels }))
    },

    async removeHeld({ sequence }) {
      await bus.remove(MailHold, sequence)
    },
  }
}

async function unlessGone(publication: Promise<void>): Promise<boolean> {
  try {
    await publication
    return true
  } catch (error) {
    if (error instanceof ScheduleGone) return false
    throw error
  }
}
