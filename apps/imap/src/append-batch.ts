/**
 * Small messages that a client appends to one mailbox one behind the other, without waiting in between: the mailstore takes them
 * in one step, in their order, and each APPEND is answered by itself. What it refuses together it is asked one by one, so that
 * a refusal meets only its own.
 *
 * STANDARDS  RFC 9051 §5.5 (several commands in progress)
 */
import { RequestRefused } from '@postbus/bus'
import { appendMessages } from '@postbus/contracts'
import { NumberSet, type ReceivedCommand } from '@postbus/imap-wire'
import type { z } from 'zod'

import type { Completed } from './command.ts'
import { appended, noSuchMailbox } from './commands/append.ts'
import { refusing } from './reply.ts'
import type { Account } from './session/account.ts'

type Message = z.input<typeof appendMessages.input>['messages'][number]

export interface PutOff {
  received: ReceivedCommand
  startedAt: number
  message: Message
}

/** What became of one: done, or what its answer is made of. */
export type Outcome = { kind: 'done'; completed: Completed } | { kind: 'failed'; cause: unknown }

/** Octets and messages of one request. */
const MAX_BYTES = 256 * 1024
const MAX_MESSAGES = 100

export class AppendBatch {
  #name = ''
  #bytes = 0
  #waiting: PutOff[] = []

  get empty(): boolean {
    return this.#waiting.length === 0
  }

  /** Whether it may wait with those that do. */
  fits(name: string, { size }: Pick<Message, 'size'>): boolean {
    if (this.empty) return true
    return name === this.#name && this.#waiting.length < MAX_MESSAGES && this.#bytes + size <= MAX_BYTES
  }

  add(name: string, one: PutOff): void {
    this.#name = name
    this.#bytes += one.message.size
    this.#waiting.push(one)
  }

  /** Nothing waits any more when it resolves, with what became of each, in order. Never rejects. */
  async append(account: Account): Promise<[PutOff, Outcome][]> {
    const [name, waiting] = [this.#name, this.#waiting]
    this.#waiting = []
    this.#bytes = 0
    try {
      return await together(account, name, waiting)
    } catch (cause) {
      // Whether it was done is not known: nobody may do it again.
      if (!(cause instanceof RequestRefused)) return waiting.map((one) => [one, { kind: 'failed', cause }])
    }
    const outcomes: [PutOff, Outcome][] = []
    for (const one of waiting) outcomes.push(...(await alone(account, name, one)))
    return outcomes
  }
}

async function alone(account: Account, name: string, one: PutOff): Promise<[PutOff, Outcome][]> {
  try {
    return await refusing(together(account, name, [one]), { noSuchMailbox })
  } catch (cause) {
    return [[one, { kind: 'failed', cause }]]
  }
}

async function together(account: Account, name: string, waiting: PutOff[]): Promise<[PutOff, Outcome][]> {
  const messages = waiting.map(({ message }) => message)
  const { uidValidity, uids } = await account.ask(appendMessages, (token) => ({ token, name, messages }))
  const each = [...NumberSet.parse(uids)]
  return waiting.map((one, at) => [one, { kind: 'done', completed: appended(uidValidity, String(each[at])) }])
}
