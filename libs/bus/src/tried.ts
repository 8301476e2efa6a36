/**
 * What is known about messages that came more than once, so that one that kills processes can be told from one that was
 * merely there when they died.
 *
 * The delivery count alone says neither: it also grows when a message is given back at a stop or after a failure. So each
 * giving-back is noted here first, and what remains of the count are deliveries that ended with nobody saying anything:
 * deaths. A message with three of those is tried alone; the note of that try is written before it and taken away after it,
 * however it ended. A note that is still there at the next delivery was left by a process that died while it had nothing else of
 * this consumer in hand. Three such notes condemn: one could be an operator's kill -9, three in a row are the message.
 *
 * Notes live in memory on the bus. Losing them only means more tries.
 */
import { TRIED_BUCKET } from '@postbus/contracts'
import { Kvm, type KV } from '@nats-io/kv'
import type { Logger } from 'pino'
import { z } from 'zod'

import type { Connection } from './connection.ts'
import type { Position } from './message.ts'

/** Deliveries that ended without a word before a message is only tried alone. */
export const DEATHS_BEFORE_ALONE = 3
/** Lone tries that ended without a word before a message is declared dead. */
export const LONE_DEATHS = 3

const Note = z.object({ givenBack: z.int().nonnegative(), loneTries: z.int().nonnegative() })
export type Note = z.infer<typeof Note>

const NOTHING: Note = { givenBack: 0, loneTries: 0 }

export type Suspicion = 'none' | 'alone' | 'condemned'

/** Pure: what to do with a message delivered so often, given what was noted. */
export function suspicionOf(deliveries: number, { givenBack, loneTries }: Note): Suspicion {
  if (loneTries >= LONE_DEATHS) return 'condemned'
  return deliveries - 1 - givenBack >= DEATHS_BEFORE_ALONE ? 'alone' : 'none'
}

export class Tried {
  readonly #connection: Connection
  readonly #log: Logger
  #bucket: Promise<KV> | undefined

  constructor(connection: Connection, log: Logger) {
    this.#connection = connection
    this.#log = log
  }

  async read(position: Position): Promise<Note> {
    const entry = await this.#quietly((bucket) => bucket.get(this.#key(position)))
    if (!entry || entry.operation !== 'PUT') return NOTHING
    const parsed = Note.safeParse(tryJson(entry.string()))
    return parsed.success ? parsed.data : NOTHING
  }

  async givenBack(position: Position, note: Note): Promise<void> {
    await this.#write(position, { ...note, givenBack: note.givenBack + 1 })
  }

  /** @returns false when it could not be written: then the lone try must wait, or its death would not be known */
  async beginAlone(position: Position, note: Note): Promise<boolean> {
    return this.#write(position, { ...note, loneTries: note.loneTries + 1 })
  }

  /** The lone try ended and the process lives: it does not count, and neither do earlier ones. */
  async endAlone(position: Position, note: Note): Promise<void> {
    await this.#write(position, { ...note, loneTries: 0 })
  }

  async forget(position: Position): Promise<void> {
    await this.#quietly((bucket) => bucket.delete(this.#key(position)))
  }

  /** Sequence and time: a stream that was made anew begins its numbers elsewhere, but a note must never meet another message. */
  #key({ stream, sequence, stamp }: Position): string {
    return `${this.#connection.party}.${stream}.${sequence}-${stamp}`
  }

  async #write(position: Position, note: Note): Promise<boolean> {
    const written = await this.#quietly((bucket) => bucket.put(this.#key(position), JSON.stringify(note)))
    return written !== undefined
  }

  async #quietly<T>(work: (bucket: KV) => Promise<T>): Promise<T | undefined> {
    // Without a connection each would wait for its own time-out, one after the other, and a stop has no time for that.
    if (!this.#connection.connected) return undefined
    try {
      this.#bucket ??= new Kvm(this.#connection.nats).open(TRIED_BUCKET, { allow_direct: true, bindOnly: true })
      return await work(await this.#bucket)
    } catch (err) {
      this.#log.debug({ err }, 'notes on tried messages are not reachable')
      return undefined
    }
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
