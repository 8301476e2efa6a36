/**
 * delivery.act → each task of one lane acted on in its own turn. Answered by the lane's owner only, so that an act and an attempt
 * never cross; ledger and statuses commit what many tasks have in common together.
 */
import { type AnswerContext, RequestRefused } from '@postbus/bus'
import { type ActResult, type actOnTasks, laneOf } from '@postbus/contracts'
import type { z } from 'zod'

import { type ActPorts, actOn } from '../queue/act.ts'

export interface OnActPorts extends ActPorts {
  acted(act: string, result: ActResult): void
}

type Question = z.output<typeof actOnTasks.input>

export function onAct(
  own: { lane: string; shard: number },
  ports: OnActPorts,
): (question: Question, context: AnswerContext) => Promise<{ results: ActResult[] }> {
  return async ({ act, by, tasks }, { log }) => {
    const stray = tasks.find(({ site, shard }) => laneOf(site) !== own.lane || shard !== own.shard)
    if (stray) throw new RequestRefused('wrongLane', `${stray.site} in shard ${stray.shard} is not in lane ${own.lane}`)
    const results = await Promise.all(
      tasks.map(async (task) => {
        const result = await actOn(task, { act, by }, ports)
        const { queueId, n, site } = task
        log.info({ queueId, n, site, act: act.kind, by, result }, 'an operator acted')
        ports.acted(act.kind, result)
        return result
      }),
    )
    return { results }
  }
}
