/**
 * A selected mailbox as one client is told of it, held against the rules of the protocol: a line that breaks one throws.
 *
 * STANDARDS  RFC 9051 §2.3.1, §5.5, §7.4.1, §7.5; RFC 7162 §3.2.10
 */
import assert from 'node:assert/strict'

export interface Known {
  /** Undefined until the client has asked. */
  uid?: number
  /** Sorted, without \Recent; undefined until told. */
  flags?: string
  modseq?: number
}

/** No message may go while these are answered: numbers in them would mean others — RFC 9051 §7.5.1. */
const NUMBERS_HOLD = new Set(['FETCH', 'STORE', 'SEARCH'])

export class View {
  readonly messages: Known[] = []
  /** The last HIGHESTMODSEQ told: all changes up to it have been told. */
  highestModseq = 0
  uidValidity = 0

  /** @param command the one being answered, with `UID`; '' when there is none */
  told(line: string, command: string): void {
    const [, number = '', name = '', rest = ''] = /^\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)(.*)$/.exec(line) ?? []
    if (name === 'EXISTS') this.#exists(Number(number), line)
    if (name === 'RECENT') assert.ok(Number(number) <= this.messages.length, `more recent than there are: ${line}`)
    if (name === 'EXPUNGE') this.#expunge(Number(number), command, line)
    if (name === 'FETCH') this.#fetch(Number(number), rest, line)
    const [, earlier, uids = ''] = /^\* VANISHED (\(EARLIER\) )?(\S+)$/.exec(line) ?? []
    if (uids !== '' && earlier === undefined) this.#vanished(uids, command, line)
    const [, code, value] = /\[(HIGHESTMODSEQ|UIDVALIDITY) (\d+)\]/.exec(line) ?? []
    if (code === 'HIGHESTMODSEQ') this.highestModseq = Number(value)
    if (code === 'UIDVALIDITY') this.uidValidity = Number(value)
  }

  get uids(): number[] {
    return this.messages.flatMap(({ uid }) => uid ?? [])
  }

  /** Of messages whose UID and flags are known. */
  get flags(): Map<number, string> {
    return new Map(
      this.messages.flatMap(({ uid, flags }) =>
        uid === undefined || flags === undefined ? [] : [[uid, flags] as const],
      ),
    )
  }

  clear(): void {
    this.messages.length = 0
  }

  #exists(count: number, line: string): void {
    assert.ok(count >= this.messages.length, `only EXPUNGE makes a mailbox smaller: ${line}`)
    while (this.messages.length < count) this.messages.push({})
  }

  #expunge(number: number, command: string, line: string): void {
    this.#mayShrink(command, line)
    assert.ok(number >= 1 && number <= this.messages.length, `no such message: ${line}`)
    this.messages.splice(number - 1, 1)
  }

  #vanished(uids: string, command: string, line: string): void {
    this.#mayShrink(command, line)
    for (const uid of numbersIn(uids)) {
      const at = this.messages.findIndex((message) => message.uid === uid)
      const unasked = this.messages.findIndex((message) => message.uid === undefined)
      assert.ok(at >= 0 || unasked >= 0, `UID ${uid} was not there: ${line}`)
      this.messages.splice(at >= 0 ? at : unasked, 1)
    }
  }

  #fetch(number: number, items: string, line: string): void {
    const message = this.messages[number - 1] ?? assert.fail(`no such message: ${line}`)
    const uid = /\bUID (\d+)/.exec(items)?.[1]
    if (uid !== undefined) {
      assert.ok(message.uid === undefined || message.uid === Number(uid), `it was UID ${message.uid}: ${line}`)
      message.uid = Number(uid)
      const before = this.messages.slice(0, number - 1).findLast((other) => other.uid !== undefined)?.uid ?? 0
      const after = this.messages.slice(number).find((other) => other.uid !== undefined)?.uid ?? Infinity
      assert.ok(before < message.uid && message.uid < after, `UIDs do not ascend: ${line}`)
    }
    const flags = /\bFLAGS \(([^)]*)\)/.exec(items)?.[1]
    if (flags !== undefined) message.flags = normalFlags(flags)
    const modseq = /\bMODSEQ \((\d+)\)/.exec(items)?.[1]
    if (modseq === undefined) return
    assert.ok(Number(modseq) >= (message.modseq ?? 0), `a MODSEQ went down: ${line}`)
    message.modseq = Number(modseq)
  }

  #mayShrink(command: string, line: string): void {
    assert.ok(command !== '' && !NUMBERS_HOLD.has(command), `not now (${command}): ${line}`)
  }
}

export function normalFlags(flags: string): string {
  return flags
    .split(' ')
    .filter((flag) => flag !== '' && flag !== '\\Recent')
    .sort()
    .join(' ')
}

export function* numbersIn(set: string): Generator<number> {
  for (const range of set.split(',')) {
    const [low = 0, high = low] = range.split(':').map(Number)
    for (let number = low; number <= high; number++) yield number
  }
}
