/**
 * What an import has taken already, in a file: so that one that was broken off, at whatever moment, goes on, and one that is
 * called again takes only what is new.
 *
 * A line says what is about to be appended, durable before it is; the next one that it was. Where the second is missing, the
 * mailbox itself is asked.
 */
import { open, type FileHandle, mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { z } from 'zod'

const Intent = z.object({
  /** Of the source. */
  from: z.string(),
  keys: z.array(z.string()),
  to: z.string(),
  /** Of the target, before. */
  uidValidity: z.number(),
  uidNext: z.number(),
  messages: z.array(z.object({ size: z.number(), internalDate: z.string().nullable() })),
})
export type Intent = z.infer<typeof Intent>

const Line = z.union([
  z.object({ source: z.string(), account: z.string() }),
  z.object({ appending: Intent }),
  z.object({ appended: z.boolean() }),
])

/** The file belongs to another import. */
export class OtherJournal extends Error {
  override readonly name = 'OtherJournal'
}

export class Journal {
  readonly #file: FileHandle
  readonly #taken = new Set<string>()
  /** Of which the file does not say whether it was done. */
  #open: Intent | null = null

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @throws OtherJournal */
  static async open(path: string, of: { source: string; account: string }): Promise<Journal> {
    await mkdir(dirname(path), { recursive: true })
    const text = await readFile(path, 'utf8').catch(() => '')
    const journal = new Journal(await open(path, 'a', 0o600))
    try {
      journal.#read(text, of, path)
      // A line cut off by a crash is ended, so that the next one is a line of its own.
      if (text === '') await journal.#write({ ...of })
      else if (!text.endsWith('\n')) await journal.#file.appendFile('\n')
    } catch (error) {
      await journal.close()
      throw error
    }
    return journal
  }

  /** The last append, if it is not known whether it was done: to be asked about, then told to `end`. */
  get unknown(): Intent | null {
    return this.#open
  }

  isTaken(mailbox: string, key: string): boolean {
    return this.#taken.has(`${mailbox}\0${key}`)
  }

  /** Durable when it resolves. */
  async begin(intent: Intent): Promise<void> {
    await this.#write({ appending: intent })
    this.#open = intent
  }

  async end(appended: boolean): Promise<void> {
    await this.#write({ appended })
    this.#settle(appended)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #read(text: string, { source, account }: { source: string; account: string }, path: string): void {
    for (const [index, line] of text.split('\n').entries()) {
      const parsed = Line.safeParse(jsonOf(line))
      if (!parsed.success) {
        if (index === 0 && text !== '') throw new OtherJournal(`${path} is no journal of an import`)
        continue
      }
      const { data } = parsed
      if ('source' in data) {
        if (data.source === source && data.account === account) continue
        throw new OtherJournal(`${path} is the journal of another import: ${data.source} to ${data.account}`)
      }
      if ('appending' in data) this.#open = data.appending
      else this.#settle(data.appended)
    }
  }

  #settle(appended: boolean): void {
    const { from, keys } = this.#open ?? { from: '', keys: [] }
    if (appended) for (const key of keys) this.#taken.add(`${from}\0${key}`)
    this.#open = null
  }

  async #write(line: z.input<typeof Line>): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`)
    await this.#file.datasync()
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
