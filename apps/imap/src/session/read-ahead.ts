/**
 * Messages a client is about to ask for. One that fetches message after message, a command each, waits for the mailstore
 * each time; from the third at equal distances on, the next ones are asked for together, before the client does.
 *
 * Only what can never change is read ahead: a message's octets, not its flags. What was read is given out once, not after
 * anything was heard of the mailbox, and not when it is older than a few seconds: so an expunged message is answered as
 * long as a command that was already under way would have — RFC 2180 §4.1.
 */
import { type FetchedMessage, fetchedMessages, fetchMessages } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'

import type { Account } from './account.ts'
import type { Allowance } from './allowance.ts'
import type { Want } from './fetch-plan.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'

/** One message, asked for by a command of its own. */
export interface SingleFetch {
  account: Pick<Account, 'rows'>
  selected: SelectedMailbox
  uid: number
  want: Want
}

/** Equal steps from one message to the next before anything is read ahead. */
const EQUAL_STEPS = 2
/** Messages asked for at once, however short. */
const MAX_MESSAGES = 64
/** What is held beside a message's octets, about. */
const MESSAGE_COST = 512
/** What one is taken to have before the first came. */
const FIRST_COST = 16 * 1024
/** A client that pauses for so long is given what the mailstore says then. */
const MAX_AGE_MS = 5000

/** What the steps are about. */
interface Course {
  selected: SelectedMailbox
  /** What is wanted of each message, as a string. */
  wanted: string
  /** Sequence number of the last message. */
  number: number
  step: number
  equalSteps: number
  /** Octets of one of them, about. */
  each: number
}

/** What was read, or is being read, since one moment. */
interface Ahead {
  /** `SelectedMailbox.changes` when it was asked for. */
  changes: number
  held: Map<number, FetchedMessage>
  heldBytes: number
  /** UIDs that are still to come. */
  coming: Set<number>
  /** Resolves when one of them came, or none will. */
  arrival: PromiseWithResolvers<void>
  /** Sequence number of the last that was asked for. */
  upTo: number
}

export class ReadAhead {
  readonly #allowance: Allowance
  readonly #maxBytes: number
  #course: Course | undefined
  #ahead: Ahead | undefined
  #tooOld: NodeJS.Timeout | undefined

  /** @param maxBytes octets held for this session; `allowance` is what all of a process may hold */
  constructor(allowance: Allowance, maxBytes: number) {
    this.#allowance = allowance
    this.#maxBytes = maxBytes
  }

  /** The message if it was read ahead. Undefined: it is to be asked for. */
  async take(single: SingleFetch): Promise<FetchedMessage | undefined> {
    const { selected, uid } = single
    const course = this.#follow(single)
    if (course === undefined || course.equalSteps < EQUAL_STEPS) return undefined
    if (this.#ahead?.changes !== selected.changes) this.drop()
    const message = this.#ahead && (await taken(this.#ahead, uid))
    if (message !== undefined) course.each = costOf(message)
    this.#readOn(single, course)
    // It may have been heard of while it came.
    return this.#ahead?.changes === selected.changes ? message : undefined
  }

  /** Holds nothing any more. */
  drop(): void {
    const ahead = this.#ahead
    if (ahead === undefined) return
    this.#ahead = undefined
    clearTimeout(this.#tooOld)
    this.#allowance.giveBack(this.#maxBytes)
    ahead.coming.clear()
    ahead.arrival.resolve()
  }

  /** Another message of the same course, or the first of a new one. */
  #follow({ selected, uid, want }: SingleFetch): Course | undefined {
    const number = selected.sequenceNumber(uid)
    if (number === undefined) return undefined
    const wanted = JSON.stringify(want)
    const last = this.#course
    if (last?.selected === selected && last.wanted === wanted) {
      const step = number - last.number
      const isEqual = step === last.step && step !== 0
      if (isEqual) last.equalSteps++
      else {
        this.drop()
        Object.assign(last, { step, equalSteps: 1 })
      }
      last.number = number
      return last
    }
    this.drop()
    this.#course = { selected, wanted, number, step: 0, equalSteps: 0, each: FIRST_COST }
    return this.#course
  }

  /** Asks for the next ones when half of what may be held is free. */
  #readOn(single: SingleFetch, { number, step, each }: Course): void {
    const { selected } = single
    const ahead = this.#ahead ?? this.#begin(selected.changes)
    if (ahead === undefined || ahead.coming.size > 0) return
    const room = Math.min(MAX_MESSAGES, Math.floor((this.#maxBytes - ahead.heldBytes) / each))
    if (ahead.held.size > room) return
    if (ahead.held.size === 0) ahead.upTo = number
    const uids: number[] = []
    while (uids.length < room) {
      const uid = selected.uids.at(ahead.upTo + step)
      if (uid === undefined) break
      ahead.upTo += step
      uids.push(uid)
    }
    if (uids.length > 0) void this.#read(single, ahead, uids)
  }

  #begin(changes: number): Ahead | undefined {
    if (!this.#allowance.take(this.#maxBytes)) return undefined
    this.#tooOld = setTimeout(() => this.drop(), MAX_AGE_MS).unref()
    const arrival = Promise.withResolvers<void>()
    this.#ahead = { changes, held: new Map(), heldBytes: 0, coming: new Set(), arrival, upTo: 0 }
    return this.#ahead
  }

  /** Never rejects: what is not read ahead is asked for when the client wants it. */
  async #read({ account, selected: { mailbox }, want }: SingleFetch, ahead: Ahead, uids: number[]): Promise<void> {
    ahead.coming = new Set(uids)
    ahead.arrival = Promise.withResolvers()
    const asked = { mailbox, uids: NumberSet.from(uids).toString(), want }
    try {
      for await (const { row, bytes } of account.rows(fetchMessages, (token) => ({ token, ...asked }))) {
        if (this.#ahead !== ahead) return
        for (const message of fetchedMessages(row, bytes)) {
          ahead.coming.delete(message.uid)
          ahead.held.set(message.uid, message)
          ahead.heldBytes += costOf(message)
        }
        ahead.arrival.resolve()
        ahead.arrival = Promise.withResolvers()
        if (ahead.heldBytes >= this.#maxBytes) break
      }
    } catch {
      // The client's own command will meet it, and say so.
    }
    ahead.coming.clear()
    ahead.arrival.resolve()
  }
}

async function taken(ahead: Ahead, uid: number): Promise<FetchedMessage | undefined> {
  while (ahead.coming.has(uid)) await ahead.arrival.promise
  const message = ahead.held.get(uid)
  if (message === undefined) return undefined
  ahead.held.delete(uid)
  ahead.heldBytes -= costOf(message)
  return message
}

function costOf({ sections = [] }: FetchedMessage): number {
  let octets = MESSAGE_COST
  for (const section of sections) {
    if (section.kind === 'inline') octets += section.octets.length
    else if (section.kind === 'blob') octets += section.lead.length
  }
  return octets
}
