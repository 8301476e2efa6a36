/**
 * What FETCH answers about strange messages is what Dovecot answers: every item and section of a corpus written for this, of
 * the large cases, and of mutations drawn from a seed. Both get the messages by APPEND; answers are compared as parsed values,
 * so that NIL is not "" and the order of parameters counts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import fc from 'fast-check'

import { besideDovecot, type Pair } from '../beside-dovecot.ts'
import { fetchItems, type ImapDialogue, type Value } from '../imap-dialogue.ts'
import { mutation } from '../mutation.ts'
import { deepMessage, deepMultipart, manyParts, strangeMessages, type StrangeMessage } from '../strange-messages.ts'
import { long, SEED } from '../under-load.ts'

const MUTATIONS = long ? 4000 : 300

const items = [
  ...['ENVELOPE', 'BODY', 'BODYSTRUCTURE', 'RFC822.SIZE', 'RFC822.HEADER', 'RFC822.TEXT', 'BODY.PEEK[]'],
  ...['BODY.PEEK[HEADER]', 'BODY.PEEK[TEXT]', 'BODY.PEEK[HEADER.FIELDS (Subject from CONTENT-TYPE)]'],
  ...['BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]', 'BODY.PEEK[]<3.20>', 'BODY.PEEK[]<999999.5>', 'BODY.PEEK[TEXT]<2.5>'],
  ...['1', '2', '3', '1.1', '1.2', '2.1', '1.1.1', '1.2.1', '4'].map((part) => `BODY.PEEK[${part}]`),
  ...['1', '2', '3', '1.1', '2.1', '1.1.1'].map((part) => `BODY.PEEK[${part}.MIME]`),
  ...['1', '2', '1.1'].flatMap((part) => [`BODY.PEEK[${part}.HEADER]`, `BODY.PEEK[${part}.TEXT]`]),
  ...['BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]', 'BODY.PEEK[1.HEADER.FIELDS.NOT (SUBJECT)]', 'BODY.PEEK[1]<1.3>'],
]

interface Case {
  message: Buffer
  item: string
  dovecot: Value | undefined
  ours: Value | undefined
}

/** Where we answer otherwise, each as narrow as can be said. */
const lawful: readonly { why: string; applies(found: Case): boolean }[] = [
  {
    why: 'a header without an empty line gets none — RFC 3501 §6.4.5, RFC 9051 §6.4.5',
    applies: ({ item, dovecot, ours }) => item.includes('HEADER.FIELDS') && dovecot === `${String(ours)}\r\n`,
  },
  {
    why: 'the header of a message inside ends where its part does; this Dovecot reads on into the delimiter',
    applies: ({ item, dovecot, ours }) =>
      /^BODY\[[0-9.]+\.HEADER\.FIELDS\.NOT/.test(item) &&
      typeof dovecot === 'string' &&
      typeof ours === 'string' &&
      dovecot.startsWith(ours) &&
      /^(?:\r\n)?--/.test(dovecot.slice(ours.length)),
  },
  {
    why: 'message/global has a header, a text and parts of its own — RFC 9051 §6.4.5; this Dovecot does not look inside',
    applies: ({ message, item }) => /BODY\[[0-9.]+/.test(item) && /message\/global/i.test(message.toString('latin1')),
  },
  {
    why: 'two asterisks are no extended parameter — RFC 2231 §4',
    applies: ({ message, item }) => item.startsWith('BODY') && message.includes('**'),
  },
]

async function fill(pair: Pair, mailbox: string, messages: readonly StrangeMessage[]): Promise<void> {
  for (const dialogue of [pair.dovecot, pair.ours]) {
    await dialogue.ok(`CREATE ${mailbox}`)
    for (const { bytes } of messages) await dialogue.ok(`APPEND ${mailbox} `, bytes)
    const exists = (await dialogue.ok(`SELECT ${mailbox}`))
      .map((line) => line.toString())
      .find((line) => line.endsWith(' EXISTS'))
    assert.equal(exists, `${messages.length} EXISTS`)
  }
}

async function answersOf(
  dialogue: ImapDialogue,
  number: number,
  wanted: readonly string[],
): Promise<Map<string, Value>> {
  const untagged = await dialogue.ok(`FETCH ${number} (${wanted.join(' ')})`)
  const answer = untagged.map(fetchItems).find((found) => found?.number === number)
  return answer?.items ?? assert.fail(`no answer about message ${number}`)
}

/** As the answer calls it. */
const nameOf = (item: string): string => item.replace('.PEEK', '').replace(/<(\d+)\.\d+>$/, '<$1>')

/** @returns a line for each answer that differs without a reason */
async function differences(
  pair: Pair,
  messages: readonly StrangeMessage[],
  wanted: readonly string[],
  used: Set<string> = new Set(),
): Promise<string[]> {
  const found: string[] = []
  for (const [index, { name, bytes }] of messages.entries()) {
    const [dovecot, ours] = await Promise.all(
      [pair.dovecot, pair.ours].map((dialogue) => answersOf(dialogue, index + 1, wanted)),
    )
    for (const item of wanted.map(nameOf)) {
      const answers: Case = { message: bytes, item, dovecot: dovecot?.get(item), ours: ours?.get(item) }
      if (isDeepStrictEqual(answers.dovecot, answers.ours)) continue
      const reason = lawful.find(({ applies }) => applies(answers))
      if (reason !== undefined) used.add(reason.why)
      else found.push(`${name}: ${item}\n  Dovecot: ${shown(answers.dovecot)}\n  ours:    ${shown(answers.ours)}`)
    }
  }
  return found
}

const SHOWN = 600
const shown = (value: Value | undefined): string => (JSON.stringify(value) ?? 'no answer').slice(0, SHOWN)

test('FETCH answers as Dovecot does', { timeout: 600_000 }, async (t) => {
  const pair = await besideDovecot(t)

  await t.test('about the corpus, in every item', async () => {
    const corpus = strangeMessages()
    const used = new Set<string>()
    await fill(pair, 'Corpus', corpus)
    assert.deepEqual(await differences(pair, corpus, items, used), [])
    assert.deepEqual([...used].toSorted(), lawful.map(({ why }) => why).toSorted(), 'a reason that excuses nothing')
  })

  await t.test('about parts without their transfer encoding', async () => {
    const decoded = strangeMessages().filter(({ name }) =>
      /^(text in base64|quoted-printable|two parts|NUL in)/.test(name),
    )
    const wanted = ['1', '2', 'HEADER', '1.MIME', '2.MIME', 'HEADER.FIELDS (SUBJECT)'].flatMap((part) => [
      ...[`BINARY.PEEK[${part}]`, `BINARY.SIZE[${part}]`],
      ...[`BINARY.PEEK[${part}]<2.5>`, `BINARY.PEEK[${part}]<9999.5>`],
    ])
    await fill(pair, 'Decoded', decoded)
    assert.deepEqual(await differences(pair, decoded, wanted), [])
  })

  await t.test('about thousands of parts and a hundred levels', async () => {
    const large = Object.entries({
      '9,000 parts': manyParts(9000),
      '10,100 parts': manyParts(10_100),
      '90 multiparts deep': deepMultipart(90),
      '120 multiparts deep': deepMultipart(120),
      '90 messages deep': deepMessage(90),
      '120 messages deep': deepMessage(120),
    }).map(([name, bytes]) => ({ name, bytes }))
    await fill(pair, 'Large', large)
    assert.deepEqual(await differences(pair, large, ['ENVELOPE', 'BODY', 'BODYSTRUCTURE', 'BODY.PEEK[2]']), [])
  })

  await t.test(`about ${MUTATIONS} mutations (seed ${SEED})`, async () => {
    const mutated = fc.sample(mutation(strangeMessages()), { numRuns: MUTATIONS, seed: SEED })
    await fill(pair, 'Mutated', mutated)
    assert.deepEqual(await differences(pair, mutated, items), [])
  })
})
