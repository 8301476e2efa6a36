/**
 * What a search asks of a text index. It only rules out: a content it does not know wholly may match, so answers are
 * those of reading everything, whatever has been indexed.
 */
import type { Reader } from '@postbus/sql'

import type { IndexStep } from '../../../mailbox/storage.ts'
import type { Tables } from '../schema.ts'
import type { TextPart } from './parts.ts'

export type MayMatch = (part: TextPart, content: number) => boolean

export interface TextIndex {
  /** Which of these contents may hold what a part asks for. Never leaves out one that does. */
  candidates(reader: Reader<Tables>, parts: readonly TextPart[], contents: readonly number[]): Promise<MayMatch>
}

export interface Indexed extends IndexStep {
  /** Contents whose texts are gone: the database need not remember them any longer. */
  forgotten: number[]
}

/** One bounded step of filling it. May be killed at any time; two processes never do the same step twice. */
export type Indexing = () => Promise<Indexed>

export const everything: MayMatch = () => true

/** Parts that ask the same have the same key. */
export const keyOf = (part: TextPart): string =>
  part.kind === 'header' ? `header ${part.envelope === true} ${part.field} ${part.value}` : `${part.kind} ${part.value}`
