/** custody.dead, custody.deadLetter, custody.actOnDead: dead letters shown, driven once more, dropped. */
import { RequestRefused, type Row } from '@postbus/bus'
import {
  type actOnDead,
  type DeadLetter,
  type DeadResult,
  type listDead,
  MAX_SHOWN_PAYLOAD,
  type showDead,
} from '@postbus/contracts'
import type { z } from 'zod'

import { type ActPorts, actOnLetter } from '../dead/act-on-letter.ts'
import { findLetter, type LetterPorts, listLetters } from '../dead/letters.ts'

export function onListDead(ports: LetterPorts) {
  return async function* ({ limit }: z.output<typeof listDead.input>): AsyncIterable<Row<DeadLetter>> {
    for await (const row of listLetters(ports, limit)) yield { row }
  }
}

export function onShowDead(ports: LetterPorts) {
  return async ({ id }: z.output<typeof showDead.input>): Promise<z.input<typeof showDead.output>> => {
    const found = await findLetter(ports, id)
    if (found === null) throw new RequestRefused('noSuchLetter', 'nothing of this name is dead')
    const contents = found.copies.map(({ letter: { headers, payload } }) => ({
      headers,
      payload: Buffer.from(payload, 'base64').subarray(0, MAX_SHOWN_PAYLOAD).toString(),
    }))
    return { letter: found.letter, contents }
  }
}

export function onActOnDead(ports: ActPorts) {
  return async ({ act, by, ids }: z.output<typeof actOnDead.input>): Promise<z.input<typeof actOnDead.output>> => {
    const results: DeadResult[] = []
    for (const id of ids) results.push(await actOnLetter(ports, id, act, by))
    return { results }
  }
}
