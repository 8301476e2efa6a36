/** Flags change: one MODSEQ for everything one chunk of a STORE does — RFC 7162 §3.1. */
import { DELETED, foldKeyword, SEEN, systemFlagNames } from '../../../mailbox/flags.ts'
import type { StoreIn, Stored } from '../../../mailbox/storage.ts'
import { above, rangesOf } from '../../../mailbox/uid-ranges.ts'
import type { StorageLimits, WriteContext, WriteOperation } from '../operation.ts'
import { keywordsOf, messagesIn } from '../rows.ts'
import { isOneOf } from '../dialect.ts'
import { internKeywords, mailboxByNumber, saveMailbox } from '../tables.ts'

interface Target {
  uid: number
  modseq: number
  previousModseq: number
  before: number
  after: number
  keywordsBefore: readonly number[]
  keywordsAfter: readonly number[]
}

export function store({ maxChunk, maxKeywordsPerMailbox }: StorageLimits): WriteOperation<'store'> {
  return async (context, input) => {
    const { tx } = context
    const row = await mailboxByNumber(tx, input)
    const numberOf = await keywordNumbers(context, input, maxKeywordsPerMailbox)
    const { rows, done } = await messagesIn(tx, row.id, input.uids, maxChunk, ['uid', 'modseq', 'flags'])
    const { ids: keywords, names } = await keywordsOf(tx, row.id, rows)

    const conflict = rows.filter(({ modseq }) => input.unchangedSince !== null && modseq > input.unchangedSince)
    const skipped = new Set(conflict.map(({ uid }) => uid))
    const targets = rows
      .filter(({ uid }) => !skipped.has(uid))
      .map(({ uid, modseq, flags }): Target => {
        const keywordsBefore = keywords.get(uid) ?? []
        const { system, keywords: wanted } = input.flags
        const given = wanted.flatMap((name) => numberOf.get(foldKeyword(name)) ?? [])
        return {
          uid,
          modseq,
          previousModseq: modseq,
          before: flags,
          keywordsBefore,
          ...applied(input.mode, flags, system, keywordsBefore, given),
        }
      })
    const changed = targets.filter(differs)

    if (changed.length > 0) {
      const modseq = ++row.highest_modseq
      await writeSystemFlags(context, row.id, modseq, changed)
      await writeKeywords(context, row.id, changed)
      for (const target of changed) {
        row.unseen += unset(target.after, SEEN) - unset(target.before, SEEN)
        row.deleted -= unset(target.after, DELETED) - unset(target.before, DELETED)
        target.modseq = modseq
      }
      context.changed(await saveMailbox(tx, row))
    }
    for (const name of numberOf.keys()) {
      const number = numberOf.get(name)
      const written = input.flags.keywords.find((keyword) => foldKeyword(keyword) === name)
      if (number !== undefined && written !== undefined && !names.has(number)) names.set(number, written)
    }
    return {
      messages: targets.map(({ uid, modseq, previousModseq, after, keywordsAfter }): Stored['messages'][number] => ({
        uid,
        modseq,
        previousModseq,
        flags: [...systemFlagNames(after), ...keywordsAfter.flatMap((number) => names.get(number) ?? [])],
      })),
      conflict: rangesOf(skipped),
      rest: done === null ? [] : above(input.uids, done),
    }
  }
}

const unset = (flags: number, bit: number): number => (flags & bit ? 0 : 1)

function differs({ before, after, keywordsBefore, keywordsAfter }: Target): boolean {
  return (
    before !== after ||
    keywordsBefore.length !== keywordsAfter.length ||
    keywordsAfter.some((number) => !keywordsBefore.includes(number))
  )
}

function applied(
  mode: StoreIn['mode'],
  flags: number,
  system: number,
  keywords: readonly number[],
  given: readonly number[],
): Pick<Target, 'after' | 'keywordsAfter'> {
  switch (mode) {
    case 'replace':
      return { after: system, keywordsAfter: given }
    case 'add':
      return {
        after: flags | system,
        keywordsAfter: given.length === 0 ? keywords : [...new Set([...keywords, ...given])],
      }
    case 'remove':
      return { after: flags & ~system, keywordsAfter: keywords.filter((number) => !given.includes(number)) }
  }
}

/** Removing a keyword nobody has must not make it one of the mailbox's. */
async function keywordNumbers(
  { tx }: WriteContext,
  { mailbox, mode, flags }: StoreIn,
  max: number,
): Promise<Map<string, number>> {
  if (flags.keywords.length === 0) return new Map()
  return internKeywords(tx, mailbox, mode === 'remove' ? [] : flags.keywords, max)
}

async function writeSystemFlags(
  { tx }: WriteContext,
  mailbox: number,
  modseq: number,
  changed: readonly Target[],
): Promise<void> {
  const byFlags = Map.groupBy(changed, ({ after }) => after)
  for (const [flags, targets] of byFlags) {
    const uids = targets.map(({ uid }) => uid)
    await tx.query
      .updateTable('messages')
      .set({ flags, modseq })
      .where('mailbox', '=', mailbox)
      .where(isOneOf(tx, 'uid', uids))
      .execute()
  }
}

async function writeKeywords({ tx }: WriteContext, mailbox: number, changed: readonly Target[]): Promise<void> {
  const added = new Map<number, number[]>()
  const removed = new Map<number, number[]>()
  const note = (map: Map<number, number[]>, keyword: number, uid: number) => {
    const uids = map.get(keyword)
    if (uids) uids.push(uid)
    else map.set(keyword, [uid])
  }
  for (const { uid, keywordsBefore, keywordsAfter } of changed) {
    for (const keyword of keywordsAfter) if (!keywordsBefore.includes(keyword)) note(added, keyword, uid)
    for (const keyword of keywordsBefore) if (!keywordsAfter.includes(keyword)) note(removed, keyword, uid)
  }
  for (const [keyword, uids] of removed) {
    await tx.query
      .deleteFrom('message_keywords')
      .where('mailbox', '=', mailbox)
      .where(isOneOf(tx, 'uid', uids))
      .where('keyword', '=', keyword)
      .execute()
  }
  for (const [keyword, uids] of added) {
    await tx.query
      .insertInto('message_keywords')
      .columns(['mailbox', 'uid', 'keyword'])
      .expression((of) =>
        of
          .selectFrom('messages')
          .select((row) => ['mailbox', 'uid', row.val(keyword).as('keyword')])
          .where('mailbox', '=', mailbox)
          .where(isOneOf(tx, 'uid', uids)),
      )
      .execute()
  }
}
