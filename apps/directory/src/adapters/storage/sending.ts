/** The sending counters: one row per account and minute. A minute counts until it lies a whole window back. */
import type { Database, Param, Transaction } from '@postbus/sql'

import { SENDING_WINDOW_MINUTES, type Spending, type Spent } from '../../store.ts'
import type { Tables } from './tables.ts'

interface Slot {
  minute: number
  messages: number
  recipients: number
}

export function prepareSending(db: Database<Tables>) {
  const limits = db.prepare((query, param: Param<{ account: string }>) =>
    query
      .selectFrom('account')
      .select(['messages_per_hour', 'recipients_per_hour'])
      .where('account', '=', param('account')),
  )
  const slots = db.prepare((query, param: Param<{ account: string; minute: number }>) =>
    query
      .selectFrom('sending')
      .select(['minute', 'messages', 'recipients'])
      .where('account', '=', param('account'))
      .where('minute', '>', param('minute'))
      .orderBy('minute'),
  )
  const prune = db.prepare((query, param: Param<{ account: string; minute: number }>) =>
    query.deleteFrom('sending').where('account', '=', param('account')).where('minute', '<=', param('minute')),
  )
  const add = db.prepare((query, param: Param<{ account: string; minute: number; recipients: number }>) =>
    query
      .insertInto('sending')
      .values({
        account: param('account'),
        minute: param('minute'),
        messages: 1,
        recipients: param('recipients'),
      })
      .onConflict((conflict) =>
        conflict.columns(['account', 'minute']).doUpdateSet(({ eb, ref }) => ({
          messages: eb('sending.messages', '+', 1),
          recipients: eb('sending.recipients', '+', ref('excluded.recipients')),
        })),
      ),
  )

  return async (transaction: Transaction<Tables>, spendings: readonly Spending[]): Promise<Spent[]> => {
    const results: Spent[] = []
    for (const { account, recipients, defaults, minute } of spendings) {
      const own = await transaction.first(limits, { account })
      const before = minute - SENDING_WINDOW_MINUTES
      const counted = await transaction.all(slots, { account, minute: before })
      const refusal =
        exceeded(counted, 'messages', 1, own?.messages_per_hour ?? defaults.messages, minute) ??
        exceeded(counted, 'recipients', recipients, own?.recipients_per_hour ?? defaults.recipients, minute)
      results.push(refusal ?? { kind: 'granted' })
      if (refusal !== null) continue
      await transaction.run(add, { account, minute, recipients })
      await transaction.run(prune, { account, minute: before })
    }
    return results
  }
}

/**
 * Null when there is room; else when there will be. Asking for more than the limit itself never has room; of a limit of 0 nobody knows
 * for how long an operator means it.
 */
function exceeded(
  slots: readonly Slot[],
  limit: 'messages' | 'recipients',
  wanted: number,
  allowed: number,
  minute: number,
): Spent | null {
  let over = slots.reduce((sum, slot) => sum + slot[limit], wanted) - allowed
  if (over <= 0) return null
  for (const slot of slots) {
    over -= slot[limit]
    if (over <= 0) return { kind: 'refused', limit, untilMinute: slot.minute + SENDING_WINDOW_MINUTES }
  }
  const never = wanted > allowed && allowed > 0
  return { kind: 'refused', limit, untilMinute: minute + SENDING_WINDOW_MINUTES, ...(never && { never }) }
}
