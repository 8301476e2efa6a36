/** Annotations are set, changed and taken away — RFC 5464 §4.3. */
import { Refused, type StorageLimits, type WriteOperation } from '../operation.ts'
import { OF_ACCOUNT } from '../reads/metadata.ts'
import { mailboxByName } from '../tables.ts'

export function setMetadata({ maxMetadataEntries }: StorageLimits): WriteOperation<'setMetadata'> {
  return async ({ tx }, { account, name, entries }) => {
    const row = name === null ? { id: OF_ACCOUNT } : await mailboxByName(tx, { account, name })
    if (row === undefined) throw new Refused('noSuchMailbox', `no mailbox ${name}`)
    const of = { account, mailbox: row.id }
    for (const { entry, value } of entries) {
      if (value === null) {
        await tx.query
          .deleteFrom('metadata')
          .where((eb) => eb.and({ ...of, entry }))
          .execute()
        continue
      }
      await tx.query
        .insertInto('metadata')
        .values({ ...of, entry, value })
        .onConflict((conflict) => conflict.columns(['account', 'mailbox', 'entry']).doUpdateSet({ value }))
        .execute()
    }
    const { count } = await tx.query
      .selectFrom('metadata')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where((eb) => eb.and(of))
      .executeTakeFirstOrThrow()
    if (count > maxMetadataEntries)
      throw new Refused('limit', `a mailbox has at most ${maxMetadataEntries} annotations`)
    return null
  }
}
