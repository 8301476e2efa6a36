/**
 * Many sessions do random things to one mailbox at once. Each holds what it is told against the protocol; when all have
 * stopped, all must know the same, without asking, and whoever was away must be able to catch up.
 */
import assert from 'node:assert/strict'

import { between, type Draw, seeded } from '../seeded.ts'
import { StressSession, type Kept, type SessionOptions } from './session.ts'

export interface StressOptions extends Omit<SessionOptions, 'enable' | 'port'> {
  /** Of servers for the same mailbox, one session after the other. */
  ports: readonly number[]
  sessions: number
  /** Of each session. */
  commands: number
  seed: number
  /** An existing mailbox, and one to move messages to. */
  mailbox: string
  other: string
}

const MANNERS = [[], ['CONDSTORE'], ['QRESYNC'], ['IMAP4rev2'], ['IMAP4rev2', 'QRESYNC']]
const FLAGS = ['\\Seen', '\\Flagged', '\\Answered', '\\Draft', '$Work', '$Later']
/** So that there is always something to work on, and never so much that nobody meets. */
const FEW = 5
const MANY = 40

export async function stressImap(options: StressOptions): Promise<void> {
  const { ports, sessions: count, commands, seed, mailbox } = options
  const sessions = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      StressSession.open({
        ...options,
        port: ports[index % ports.length] ?? 0,
        enable: MANNERS[index % MANNERS.length] ?? [],
      }),
    ),
  )
  try {
    const kept = await Promise.all(
      sessions.map(async (session, index) => {
        const draw = seeded(seed * 1000 + index)
        await session.select(mailbox)
        await work(session, commands / 2, draw, options)
        const kept = session.keep()
        await work(session, commands / 2, draw, options)
        return kept
      }),
    )
    await agree(sessions, mailbox)
    await catchUp(sessions, kept, mailbox)
  } finally {
    await Promise.all(sessions.map((session) => session.close()))
  }
}

async function work(session: StressSession, commands: number, draw: Draw, options: StressOptions): Promise<void> {
  for (let count = 0; count < commands; count++) {
    await step(session, draw, options)
    await session.learn()
  }
}

async function step(session: StressSession, draw: Draw, { mailbox, other }: StressOptions): Promise<void> {
  const { messages, uids } = session.view
  const size = messages.length
  const pick = between(draw, 0, 13)
  const flag = FLAGS[between(draw, 0, FLAGS.length - 1)] ?? '\\Seen'
  if (size < FEW || (pick === 0 && size < MANY)) {
    const text = `Subject: ${between(draw, 0, 1000)}\r\n\r\nx\r\n`
    return void (await session.run(`APPEND ${mailbox} (${flag}) {${text.length}+}\r\n${text}`))
  }
  const numbers = range(draw, 1, size)
  const named = range(draw, uids[0] ?? 1, uids.at(-1) ?? 1)
  const verbs = ['+FLAGS', '-FLAGS', 'FLAGS']
  const verb = verbs[between(draw, 0, 2)] ?? 'FLAGS'
  const aware = session.options.enable.some((name) => name !== 'IMAP4rev2')
  switch (pick) {
    case 1:
    case 2:
      return void (await session.run(`STORE ${numbers} ${verb} (${flag})`))
    case 3:
      return void (await session.run(`UID STORE ${named} ${verb} (${flag})`))
    case 4:
      return session.storeSilently(numbers, flag)
    case 5: {
      const unchanged = aware ? ` (UNCHANGEDSINCE ${session.view.highestModseq + between(draw, 0, 20)})` : ''
      return void (await session.run(`STORE ${numbers}${unchanged} ${verb} (${flag})`))
    }
    case 6:
      await session.run(`STORE ${between(draw, 1, size)} +FLAGS (\\Deleted)`)
      return void (await session.run('EXPUNGE'))
    case 7:
      await session.run(`UID STORE ${named} +FLAGS (\\Deleted)`)
      return void (await session.run(`UID EXPUNGE ${named}`))
    case 8:
      return void (await session.run(`MOVE ${between(draw, 1, size)} ${other}`))
    case 9:
      return void (size < MANY && (await session.run(`UID COPY ${named} ${mailbox}`)))
    case 10:
      return void (await session.run(`FETCH ${numbers} (FLAGS RFC822.SIZE)`))
    case 11:
      return checkSearch(session, await session.run(`SEARCH NOT SEEN`))
    case 12:
      return void (await session.run('IDLE'))
    default:
      return void (await session.run('NOOP'))
  }
}

function checkSearch({ view }: StressSession, { lines }: { lines: string[] }): void {
  const found = lines.find((line) => /^\* E?SEARCH/.test(line)) ?? ''
  for (const [number] of found.replace(/^.*\)/, '').matchAll(/\d+/g))
    assert.ok(Number(number) <= view.messages.length, `no such message: ${found}`)
}

function range(draw: Draw, low: number, high: number): string {
  const from = between(draw, low, high)
  return `${from}:${Math.min(high, from + between(draw, 0, 3))}`
}

/** Nothing happens any more: what each is told now makes it know what is so. */
async function agree(sessions: readonly StressSession[], mailbox: string): Promise<void> {
  for (const session of sessions) {
    await session.run('NOOP')
    await session.learn()
    const believed = [...session.view.flags]
    await session.select(mailbox)
    assert.deepEqual(believed, [...session.view.flags], `what ${nameOf(session)} believed, and what is so`)
  }
}

/** From where they were in the middle of it all. */
async function catchUp(sessions: readonly StressSession[], kept: readonly Kept[], mailbox: string): Promise<void> {
  for (const [index, session] of sessions.entries()) {
    const from = kept[index]
    if (!from || !session.options.enable.includes('QRESYNC')) continue
    const caughtUp = await session.resynchronise(mailbox, from)
    await session.run('FETCH 1:* (UID FLAGS)')
    assert.deepEqual(inOrder(caughtUp), inOrder(session.view.flags), `what ${nameOf(session)} caught up with`)
  }
}

const nameOf = ({ options }: StressSession): string => ['IMAP4rev1', ...options.enable].at(-1) ?? ''
const inOrder = (flags: Map<number, string>) => [...flags].sort(([a], [b]) => a - b)
