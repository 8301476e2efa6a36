/**
 * Sessions of one account in two imap processes see each other's changes in order, pushed while they idle; what one does to
 * mailboxes is there for the other.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'

import { Conversation } from '@postbus/testkit'

import { startPlatform, type Ready } from '../platform.ts'
import { addAccounts, type Account } from '../postbus.ts'
import { bySwaks } from '../sending.ts'

/** One IMAP connection, line by line. */
class Session {
  readonly #talk: Conversation
  #tag = 0

  private constructor(talk: Conversation) {
    this.#talk = talk
  }

  static async open(t: TestContext, ready: Ready, port: string, { address, password }: Account): Promise<Session> {
    const ca = await readFile(ready.ca, 'utf8')
    const tls = { ca, servername: 'localhost' }
    const talk = await Conversation.open({ port: ready.ports[port] ?? 0, implicitTls: true, tls, timeoutMs: 60_000 })
    t.after(() => talk.close())
    const session = new Session(talk)
    assert.match((await talk.line()) ?? '', /^\* OK /)
    await session.ok(`LOGIN ${address} ${password}`)
    return session
  }

  /** The untagged lines before OK. */
  async ok(command: string): Promise<string[]> {
    const tag = `a${++this.#tag}`
    this.#talk.write(`${tag} ${command}\r\n`)
    const lines: string[] = []
    for (;;) {
      const line = (await this.#talk.line()) ?? assert.fail(`closed during ${command}`)
      if (line.startsWith(`${tag} `)) {
        assert.match(line, /^\S+ OK/, command)
        return [...lines, line]
      }
      lines.push(line)
    }
  }

  async append(mailbox: string, flags: string, subject: string): Promise<void> {
    const message = `Subject: ${subject}\r\n\r\n${subject}\r\n`
    await this.ok(`APPEND ${mailbox} (${flags}) {${message.length}+}\r\n${message}`)
  }

  async idle(): Promise<void> {
    this.#talk.write('idle IDLE\r\n')
    assert.match((await this.#talk.line()) ?? '', /^\+ /)
  }

  /** The next line pushed. */
  async pushed(): Promise<string> {
    return (await this.#talk.line()) ?? assert.fail('closed while idle')
  }

  /** What was pushed until the end. */
  async done(): Promise<string[]> {
    this.#talk.write('DONE\r\n')
    const lines: string[] = []
    for (let line = await this.pushed(); !line.startsWith('idle '); line = await this.pushed()) lines.push(line)
    return lines
  }
}

/** Lines without their tags, with flags in one order. */
const settled = (line: string): string =>
  line.replace(/FLAGS \(([^)]*)\)/, (_, flags: string) => `FLAGS (${flags.split(' ').toSorted().join(' ')})`)

test('two sessions of one account, in two processes', async (t) => {
  const platform = await startPlatform(t, { args: ['--replicas', 'imap=2'] })
  const ready = platform.ready()
  const { green } = await addAccounts(ready, ['green'])
  const here = await Session.open(t, ready, 'imaps', green)
  const there = await Session.open(t, ready, 'imaps-2', green)
  assert.notEqual(ready.pids['imap'], ready.pids['imap-2'])

  await t.test('a new account has its special-use mailboxes, for LIST and LIST RETURN (SPECIAL-USE)', async () => {
    for (const command of ['LIST "" *', 'LIST "" * RETURN (SPECIAL-USE)']) {
      const listed = (await here.ok(command)).join('\n')
      for (const use of ['Sent', 'Drafts', 'Trash', 'Junk', 'Archive']) {
        assert.match(listed, new RegExp(`^\\* LIST \\([^)]*\\\\${use}\\b[^)]*\\) \\S+ "?${use}"?$`, 'm'), command)
      }
      assert.match(listed, /^\* LIST \([^)]*\) \S+ "?INBOX"?$/m)
    }
  })

  await t.test('new mail is pushed to both while they idle', async () => {
    await here.ok('SELECT INBOX')
    await there.ok('SELECT INBOX')
    await here.idle()
    await there.idle()
    await bySwaks(ready, { from: 'writer@example.com', to: green.address })
    for (const session of [here, there]) assert.equal(await session.pushed(), '* 1 EXISTS')
    // RFC 3501 §2.3.2: a message is recent for one session at most.
    const recent = [...(await here.done()), ...(await there.done())].filter((line) => line === '* 1 RECENT')
    assert.equal(recent.length, 1)
  })

  await t.test('flags and expunges of one are pushed to the other, in order', async () => {
    for (const subject of ['two', 'three', 'four']) await here.append('INBOX', '', subject)
    await there.ok('NOOP')
    await there.idle()
    await here.ok('STORE 2 +FLAGS.SILENT (\\Flagged)')
    await here.ok('STORE 3 +FLAGS.SILENT (\\Deleted $Later)')
    await here.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    await here.ok('EXPUNGE')
    await here.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
    await here.append('INBOX', '\\Seen', 'five')
    const pushed: string[] = []
    while (!pushed.some((line) => / EXISTS$/.test(line))) pushed.push(settled(await there.pushed()))
    pushed.push(...(await there.done()).map(settled))
    const numbers = replay(['one', 'two', 'three', 'four'], pushed)
    assert.deepEqual(numbers, ['two', 'four', 'five'], pushed.join('\n'))
    const seen = (await there.ok('FETCH 1:* (FLAGS)')).filter((line) => line.startsWith('* ')).map(settled)
    const known = (await here.ok('FETCH 1:* (FLAGS)')).filter((line) => line.startsWith('* ')).map(settled)
    const withoutRecent = (lines: string[]) =>
      lines.map((line) => settled(line.replace(/ ?\\Recent/, '').replace('( ', '(')))
    assert.deepEqual(withoutRecent(seen), withoutRecent(known))
    assert.match(seen[0] ?? '', /^\* 1 FETCH \(.*FLAGS \(.*\\Flagged.*\\Seen/)
    assert.ok(
      pushed.some((line) => /FETCH \(.*\\Flagged/.test(line)),
      pushed.join('\n'),
    )
  })

  await t.test('COPY, MOVE and APPEND between mailboxes, seen from the other process', async () => {
    await here.ok('CREATE Projects')
    const copied = (await here.ok('COPY 1 Projects')).at(-1) ?? ''
    assert.match(copied, /\[COPYUID \d+ \d+ 1\]/)
    const moved = (await here.ok('MOVE 2 Projects')).join('\n')
    assert.match(moved, /\[COPYUID \d+ \d+ 2\]/)
    assert.match(moved, /^\* 2 EXPUNGE$/m)
    await here.append('Projects', '\\Draft', 'six')
    assert.deepEqual(
      (await there.ok('NOOP')).filter((line) => line.endsWith('EXPUNGE')),
      ['* 2 EXPUNGE'],
    )
    assert.match((await there.ok('STATUS Projects (MESSAGES UNSEEN UIDNEXT)'))[0] ?? '', /MESSAGES 3/)
    await there.ok('SELECT Projects')
    const flags = (await there.ok('FETCH 1:* (FLAGS BODY.PEEK[TEXT])')).join('\n')
    for (const text of ['two', 'four', 'six']) assert.match(flags, new RegExp(`^${text}$`, 'm'))
    assert.match(flags, /\\Flagged/)
  })

  await t.test('renaming and deleting a mailbox, seen from the other process', async () => {
    await there.ok('UNSELECT')
    await here.ok('RENAME Projects Archive/Projects')
    assert.match((await there.ok('LIST "" Archive/*')).join('\n'), /Archive\/Projects/)
    await here.ok('DELETE Archive/Projects')
    assert.doesNotMatch((await there.ok('LIST "" *')).join('\n'), /Projects/)
  })
})

/** What a client believes stands at each number after the pushed lines (RFC 9051 §7.5.1: EXPUNGE renumbers at once). */
function replay(known: string[], pushed: string[]): string[] {
  const mailbox = [...known]
  for (const line of pushed) {
    const [, number, what] = /^\* (\d+) (EXPUNGE|EXISTS)/.exec(line) ?? []
    if (what === 'EXPUNGE') mailbox.splice(Number(number) - 1, 1)
    if (what === 'EXISTS') while (mailbox.length < Number(number)) mailbox.push('five')
    const fetched = /^\* (\d+) FETCH/.exec(line)?.[1]
    if (fetched !== undefined) assert.ok(Number(fetched) <= mailbox.length, `${line} of ${mailbox.length}`)
  }
  return mailbox
}
