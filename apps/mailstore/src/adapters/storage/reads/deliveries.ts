import type { MailDatabase, ReadOperation } from '../operation.ts'

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
    const results = []
    for (const { queueId, account } of keys) {
      const deliveredAt = (await reader.first(delivery, { queueId, account }))?.at ?? null
      const held = deliveredAt === null ? await reader.first(content, { queueId }) : undefined
      results.push({ deliveredAt, content: held ?? null })
    }
    return results
  }
}

export const namedBlobs: ReadOperation<'namedBlobs'> = async ({ query }, { blobs }) => {
  const used = await query.selectFrom('contents').select('blob').where('blob', 'in', blobs).execute()
  // Those given up are taken away in their own time.
  const dead = await query.selectFrom('dead_blobs').select('blob').where('blob', 'in', blobs).execute()
  return [...used, ...dead].flatMap(({ blob }) => blob ?? [])
}
