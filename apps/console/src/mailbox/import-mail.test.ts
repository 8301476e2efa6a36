import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import type { MailboxInfo } from '@postbus/contracts'

import { importMail, type ImportOptions, type ImportTarget, type NewMessage, Refused } from './import-mail.ts'
import { Journal } from './journal.ts'
import { MessageUnreadable, type MailSource, type SourceMessage } from './mail.ts'

const of = { source: 'test', account: 'smith000' }
const date = new Date('2026-11-24T03:00:00Z')
const options: ImportOptions = { only: [], into: null, dryRun: false, onProgress: () => {} }

async function journalFile(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-import-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'journal')
}

function sourceOf(mailboxes: Record<string, string[]>): MailSource {
  const message = (key: string): SourceMessage => ({
    ...{ key, flags: ['\\Seen'], internalDate: date, size: key.length },
    octets: (async function* () {
      if (key.startsWith('unreadable')) throw new MessageUnreadable(key)
      yield Buffer.from(key)
    })(),
  })
  return {
    id: of.source,
    async *mailboxes() {
      for (const [name, keys] of Object.entries(mailboxes)) {
        yield {
          ...{ name, specialUse: name === 'Post' ? '\\Sent' : null, subscribed: true, count: keys.length },
          async *messages(isTaken) {
            for (const key of keys) if (!isTaken(key)) yield message(key)
          },
        }
      }
    },
    async close() {},
  }
}

/** An account in memory. */
function account(more: Partial<ImportTarget> = {}) {
  const boxes = new Map<string, { info: MailboxInfo; messages: string[] }>()
  const staged = new Map<string, string>()
  let lastStaged = 0
  const make = (name: string, specialUse: string[]): MailboxInfo => {
    const info = { name, specialUse, uidValidity: 7, uidNext: 1, mailbox: boxes.size + 1 } as MailboxInfo // What is looked at.
    boxes.set(name, { info, messages: [] })
    return info
  }
  make('INBOX', [])
  make('Sent', ['\\Sent'])
  const at = (name: string) => boxes.get(name) ?? assert.fail(`no mailbox ${name}`)
  const target: ImportTarget = {
    mailboxes: async () => [...boxes.values()].map(({ info }) => info),
    create: async (name, specialUse) => make(name, specialUse === null ? [] : [specialUse]),
    subscribe: async () => {},
    async stage(octets) {
      const text = Buffer.concat(await Array.fromAsync(octets)).toString()
      if (text.startsWith('small')) return { octets: Buffer.from(text).toString('base64'), size: text.length }
      const blob = `staged/${++lastStaged}`
      staged.set(blob, text)
      return { blob, size: text.length }
    },
    async discard(list) {
      for (const each of list) if ('blob' in each) staged.delete(each.blob)
    },
    async append(name, messages) {
      const box = at(name)
      const texts = messages.map((each: NewMessage) =>
        'blob' in each
          ? (staged.get(each.blob) ?? assert.fail('not staged'))
          : Buffer.from(each.octets, 'base64').toString(),
      )
      if (texts.some((text) => text.startsWith('refused'))) throw new Refused('too large', false)
      if (texts.some((text) => text.startsWith('full'))) throw new Refused('over quota', true)
      box.messages.push(...texts)
      await target.discard(messages)
      return box.messages.length + 1
    },
    since: async (name, _validity, uid) =>
      at(name)
        .messages.slice(uid - 1)
        .map((text) => ({ size: text.length, internalDate: date.toISOString() })),
    ...more,
  }
  return { target, staged, messages: (name: string) => at(name).messages, names: () => [...boxes.keys()], at }
}

async function run(path: string, source: MailSource, target: ImportTarget, more: Partial<ImportOptions> = {}) {
  const journal = await Journal.open(path, of)
  try {
    return await importMail(source, target, journal, { ...options, ...more })
  } finally {
    await journal.close()
  }
}

const many = Array.from({ length: 250 }, (_, index) => `message ${index}`)

test('every message comes in order, and the next call takes only what is new', async (t) => {
  const path = await journalFile(t)
  const { target, messages, staged, at } = account()
  const first = await run(path, sourceOf({ INBOX: many, Post: ['a'] }), target)
  assert.deepEqual(messages('INBOX'), many)
  assert.deepEqual(
    first.mailboxes.map(({ to, messages: count }) => [to, count]),
    [
      ['INBOX', 250],
      ['Post', 1],
    ],
  )
  // The account has one for that use.
  assert.deepEqual(at('Post').info.specialUse, [])
  const second = await run(path, sourceOf({ INBOX: [...many, 'new'], Post: ['a'] }), target)
  assert.deepEqual(
    second.mailboxes.map(({ messages: count, taken }) => [count, taken]),
    [
      [1, 250],
      [0, 1],
    ],
  )
  assert.equal(messages('INBOX').length, 251)
  assert.equal(staged.size, 0)
})

test('what travels in the request is bounded, whatever else there is, and keeps its order', async (t) => {
  const { target, messages } = account()
  const requests: number[] = []
  const watched: ImportTarget = {
    ...target,
    append(name, list) {
      requests.push(list.reduce((octets, each) => octets + ('octets' in each ? each.octets.length : 0), 0))
      return target.append(name, list)
    },
  }
  const mixed = Array.from({ length: 60 }, (_, index) =>
    index % 3 === 0 ? `message ${index}` : `small ${index} ${'x'.repeat(50_000)}`,
  )
  await run(await journalFile(t), sourceOf({ INBOX: mixed }), watched)
  assert.deepEqual(messages('INBOX'), mixed)
  // NATS takes a mebibyte at once.
  assert.ok(Math.max(...requests) < 512 * 1024, String(requests))
})

for (const [when, happens] of [
  ['before', false],
  ['after', true],
] as const) {
  test(`broken off ${when} the mailstore appended, it takes every message once`, async (t) => {
    const path = await journalFile(t)
    const { target, messages } = account()
    let calls = 0
    const dying: ImportTarget = {
      ...target,
      async append(name, list) {
        if (++calls < 2) return target.append(name, list)
        if (happens) await target.append(name, list)
        throw new Error('killed')
      },
    }
    await assert.rejects(run(path, sourceOf({ INBOX: many }), dying), /killed/)
    // A line that was cut off by the crash.
    await writeFile(path, '{"appen', { flag: 'a' })
    messages('INBOX').push('mail that came meanwhile')
    await run(path, sourceOf({ INBOX: many }), target)
    assert.deepEqual(
      messages('INBOX').filter((text) => text !== 'mail that came meanwhile'),
      many,
    )
  })
}

test('a message that is refused or unreadable is named, and the others come', async (t) => {
  const { target, messages, staged } = account()
  const source = sourceOf({ INBOX: ['a', 'refused 1', 'b', 'unreadable 1', 'c'] })
  const { failed } = await run(await journalFile(t), source, target)
  assert.deepEqual(messages('INBOX'), ['a', 'b', 'c'])
  assert.deepEqual(failed.map(({ key }) => key).toSorted(), ['refused 1', 'unreadable 1'])
  assert.equal(staged.size, 0)
})

test('a full account ends the import, which goes on where it was once there is room', async (t) => {
  const path = await journalFile(t)
  const { target, messages } = account()
  const source = sourceOf({ INBOX: ['full'], Post: ['a'] })
  const { failed, mailboxes } = await run(path, source, target)
  assert.deepEqual([failed.length, mailboxes.length], [1, 1])
  const roomy: ImportTarget = { ...target, append: async () => 2 }
  const later = await run(path, source, roomy)
  assert.deepEqual(
    later.mailboxes.map(({ messages: count }) => count),
    [1, 1],
  )
  assert.deepEqual(messages('INBOX'), [])
})

test('names are chosen and put below another', async (t) => {
  const { target, names } = account()
  const source = sourceOf({ INBOX: ['a'], 'Work/x': ['b'], Other: ['c'] })
  await run(await journalFile(t), source, target, { only: ['INBOX', 'Work/*'], into: 'Old' })
  assert.deepEqual(names(), ['INBOX', 'Sent', 'Old', 'Old/Work/x'])
  await assert.rejects(run(await journalFile(t), source, target, { only: ['Nope'] }), /there is no mailbox Nope/)
})

test('a dry run changes nothing', async (t) => {
  const { target, names, messages } = account({ append: async () => assert.fail('not to be asked') })
  const { mailboxes } = await run(await journalFile(t), sourceOf({ New: ['a', 'bcd'] }), target, { dryRun: true })
  assert.deepEqual(mailboxes, [{ from: 'New', to: 'New', messages: 2, bytes: 4, taken: 0 }])
  assert.deepEqual([names(), messages('INBOX')], [['INBOX', 'Sent'], []])
})

test('the journal of another import is refused and stays', async (t) => {
  const path = await journalFile(t)
  await (await Journal.open(path, of)).close()
  const before = await readFile(path, 'utf8')
  await assert.rejects(Journal.open(path, { ...of, account: 'jones000' }), /another import/)
  assert.equal(await readFile(path, 'utf8'), before)
  await writeFile(path, 'something else\n')
  await assert.rejects(Journal.open(path, of), /no journal/)
})
