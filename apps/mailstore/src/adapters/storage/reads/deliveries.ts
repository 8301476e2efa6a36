import type { MailDatabase, ReadOperation } from '../operation.ts'
import { together } from '../together.ts'

export function known(db: MailDatabase): ReadOperation<'known'> {
  const delivery = db.prepare<{ queueId: string; account: string }, { at: number }>((query, param) =>
    query
      .selectFrom('deliveries')
      .select('at')
      .where('queue_id', '=', param('queueId'))
      .where('account', '=', param('account')),
  )
  const content = db.prepare<{ queueId: string }, { content: number; size: number }>((query, param) =>
    query.selectFrom('contents').select(['id as content', 'size']).where('queue_id', '=', param('queueId')),
  )
  return async (reader, keys) => {
    const done = await together(keys.map(({ queueId, account }) => reader.first(delivery, { queueId, account })))
    const open = keys.flatMap(({ queueId }, index) => (done[index] === undefined ? [queueId] : []))
    const queueIds = [...new Set(open)]
    const held = await together(queueIds.map((queueId) => reader.first(content, { queueId })))
    const contentOf = new Map(queueIds.map((queueId, index) => [queueId, held[index]]))
    return keys.map(({ queueId }, index) => {
      const at = done[index]?.at
      return { deliveredAt: at ?? null, content: at === undefined ? (contentOf.get(queueId) ?? null) : null }
    })
  }
}

export const namedBlobs: ReadOperation<'namedBlobs'> = async ({ query }, { blobs }) => {
  const used = await query.selectFrom('contents').select('blob').where('blob', 'in', blobs).execute()
  // Those given up are taken away in their own time.
  const dead = await query.selectFrom('dead_blobs').select('blob').where('blob', 'in', blobs).execute()
  return [...used, ...dead].flatMap(({ blob }) => blob ?? [])
}
