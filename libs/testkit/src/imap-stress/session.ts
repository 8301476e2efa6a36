/** One client of the stress test: sends commands, keeps its view of the mailbox, and asks what it was not told. */
import assert from 'node:assert/strict'

import { Conversation, type ConversationOptions } from '../conversation.ts'
import { normalFlags, numbersIn, View } from './view.ts'

export interface SessionOptions extends ConversationOptions {
  user: string
  password: string
  /** For ENABLE. */
  enable: string[]
}

/** What a client kept of a mailbox when it last knew all up to a MODSEQ. */
export interface Kept {
  uidValidity: number
  modseq: number
  flags: Map<number, string>
}

interface Answer {
  status: string
  /** With the tag's own. */
  lines: string[]
}

export class StressSession {
  readonly view = new View()
  readonly options: SessionOptions
  readonly #talk: Conversation
  #tag = 0

  private constructor(talk: Conversation, options: SessionOptions) {
    this.#talk = talk
    this.options = options
  }

  static async open(options: SessionOptions): Promise<StressSession> {
    const session = new StressSession(await Conversation.open(options), options)
    assert.match((await session.#talk.line()) ?? '', /^\* OK /)
    await session.run(`LOGIN ${options.user} ${options.password}`)
    if (options.enable.length > 0) await session.run(`ENABLE ${options.enable.join(' ')}`)
    return session
  }

  close(): Promise<void> {
    return this.#talk.close()
  }

  /** NO is an answer like any other here: what a command was about may be gone. BAD is not. */
  async run(text: string): Promise<Answer> {
    const tag = `t${++this.#tag}`
    const [, command = ''] = /^((?:UID )?[A-Z]+)/.exec(text) ?? []
    this.#talk.write(`${tag} ${text}\r\n`)
    const lines: string[] = []
    for (;;) {
      const line = (await this.#talk.line()) ?? assert.fail(`the server closed during ${text}`)
      lines.push(line)
      if (line.startsWith('+ ')) this.#talk.write('DONE\r\n')
      this.view.told(line, command)
      if (!line.startsWith(`${tag} `)) continue
      const status = line.split(' ')[1] ?? ''
      assert.notEqual(status, 'BAD', `${text}: ${line}`)
      return { status, lines }
    }
  }

  async select(mailbox: string): Promise<void> {
    this.view.clear()
    await this.run(`SELECT ${mailbox}`)
    await this.learn()
  }

  /** Asks for what came. */
  async learn(): Promise<void> {
    const { messages } = this.view
    const first = messages.findIndex(({ uid, flags }) => uid === undefined || flags === undefined)
    if (first >= 0) await this.run(`FETCH ${first + 1}:${messages.length} (UID FLAGS)`)
  }

  /** A silent STORE is not told of: what it did is known without. */
  async storeSilently(set: string, flag: string): Promise<void> {
    const before = new Set(numbersIn(set))
    const { status } = await this.run(`STORE ${set} +FLAGS.SILENT (${flag})`)
    if (status !== 'OK') return
    for (const [index, message] of this.view.messages.entries()) {
      if (!before.has(index + 1) || message.flags === undefined) continue
      if (!message.flags.split(' ').includes(flag)) message.flags = normalFlags(`${message.flags} ${flag}`)
    }
  }

  keep(): Kept {
    return { uidValidity: this.view.uidValidity, modseq: this.view.highestModseq, flags: this.view.flags }
  }

  /** Opens the mailbox again by what was kept. @returns that, brought up to date by nothing but the answer */
  async resynchronise(mailbox: string, { uidValidity, modseq, flags }: Kept): Promise<Map<number, string>> {
    this.view.clear()
    const known = new Map(flags)
    const { lines } = await this.run(`SELECT ${mailbox} (QRESYNC (${uidValidity} ${modseq}))`)
    for (const line of lines) {
      const vanished = /^\* VANISHED \(EARLIER\) (\S+)$/.exec(line)?.[1]
      for (const uid of vanished === undefined ? [] : numbersIn(vanished)) known.delete(uid)
    }
    for (const [uid, now] of this.view.flags) known.set(uid, now)
    return known
  }
}
