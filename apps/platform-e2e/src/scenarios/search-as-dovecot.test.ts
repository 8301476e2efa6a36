/**
 * What SEARCH, SORT and THREAD answer is what Dovecot answers, which has no index: about a seeded corpus in many charsets and
 * encodings, and about strange messages, whole and broken further. Substrings out of them, headers, dates, every sort criterion,
 * both threadings. Both get the messages by APPEND.
 */
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'

import { between, type Draw, searchCorpus, seeded } from '@postbus/testkit'
import fc from 'fast-check'

import { besideDovecot, type Pair } from '../beside-dovecot.ts'
import type { ImapDialogue } from '../imap-dialogue.ts'
import { mutation } from '../mutation.ts'
import { strangeMessages } from '../strange-messages.ts'
import { long, SEED } from '../under-load.ts'

const MESSAGES = 100
const SUBSTRINGS = 500
const MUTATIONS = long ? 2000 : 200
const STRANGE_SUBSTRINGS = long ? 5000 : 500

/** Threads and dates, which the corpus has none of; the last has no usable date. */
const more = [
  'Date: Mon, 1 Jun 2026 23:30:00 -0700\r\nFrom: Zoe <zoe@example.org>\r\nSubject: Plans\r\nMessage-ID: <a@x>\r\n\r\none\r\n',
  'Date: Tue, 2 Jun 2026 00:30:00 +0900\r\nFrom: "Ann" <ann@example.org>\r\nSubject: Re: Plans\r\nMessage-ID: <b@x>\r\nReferences: <a@x>\r\n\r\ntwo\r\n',
  'Date: Wed, 3 Jun 2026 10:00:00 +0000\r\nFrom: bob@example.org\r\nSubject: Re: plans (fwd)\r\nMessage-ID: <c@x>\r\nIn-Reply-To: <a@x>\r\n\r\nthree\r\n',
  'Date: Thu, 4 Jun 2026 10:00:00 +0000\r\nFrom: bob@example.org\r\nSubject: Budget\r\nReferences: <gone@x>\r\n\r\nfour\r\n',
  'Date: Fri, 5 Jun 2026 10:00:00 +0000\r\nCc: carl@example.org\r\nSubject: Re: Budget\r\nReferences: <gone@x> <lost@x>\r\n\r\nfive\r\n',
  'Date: yesterday\r\nSubject: [list] plans\r\n\r\nsix\r\n',
].map((text) => Buffer.from(text))

const criteria = ['ARRIVAL', 'CC', 'DATE', 'DISPLAYFROM', 'DISPLAYTO', 'FROM', 'SIZE', 'SUBJECT', 'TO']
const days = ['1-Jan-1970', '1-Jun-2026', '2-Jun-2026', '1-Jan-2030']

type Command = readonly (string | Buffer)[]

const sortsAndThreads: readonly Command[] = [
  ...criteria.flatMap((by) => [[`SORT (${by}) UTF-8 ALL`], [`SORT (REVERSE ${by}) UTF-8 ALL`]]),
  ...['REFERENCES', 'ORDEREDSUBJECT'].map((algorithm) => [`THREAD ${algorithm} UTF-8 ALL`]),
]

async function fill(pair: Pair, mailbox: string, messages: readonly Buffer[]): Promise<void> {
  for (const dialogue of Object.values(pair)) {
    await dialogue.ok(`CREATE ${mailbox}`)
    for (const [index, octets] of messages.entries()) {
      const day = String(1 + (index % 28)).padStart(2, '0')
      await dialogue.ok(`APPEND ${mailbox} "${day}-Feb-2026 10:00:00 +0000" `, octets)
    }
    await dialogue.ok(`SELECT ${mailbox}`)
  }
}

/** The one untagged line of the answer. */
async function answer(dialogue: ImapDialogue, command: Command): Promise<string> {
  const untagged = await dialogue.ok(...command)
  return untagged.map((line) => line.toString().trimEnd()).find((line) => /^(SEARCH|SORT|THREAD)\b/.test(line)) ?? ''
}

/** @returns how many of the commands found something */
async function compare(pair: Pair, commands: readonly Command[]): Promise<number> {
  const differences: string[] = []
  let found = 0
  for (const command of commands) {
    const [dovecot, ours] = await Promise.all([answer(pair.dovecot, command), answer(pair.ours, command)])
    if (dovecot !== ours) differences.push(`${command.map(String).join('')}\n  Dovecot: ${dovecot}\n  ours:    ${ours}`)
    if (/[0-9]/.test(dovecot)) found++
  }
  assert.deepEqual(differences, [], `seed ${SEED}`)
  return found
}

/** Messages about which we answer otherwise, and why. */
const others: readonly { why: string; message: RegExp }[] = [
  {
    why: 'the message inside has parts of its own — RFC 9051 §6.4.5; this Dovecot does not look inside',
    message: /message\/global/i,
  },
  {
    why: 'what is encoded in a charset nobody knows, or with a language (RFC 2231 §5), is found in any case; by this Dovecot not',
    message: /=\?(?!(?:utf-8|us-ascii|iso-8859-1|windows-1252)\?)[^?\s]+\?/i,
  },
  {
    why: 'a name with NUL in it is sorted by the NUL; where this Dovecot puts it is not known',
    message: /^From: .*\0/m,
  },
]

function comparable(messages: readonly Buffer[]): Buffer[] {
  const isOther = (message: Buffer): boolean => others.some((other) => other.message.test(message.toString('latin1')))
  return messages.filter((message) => !isOther(message))
}

const keys = ['SUBJECT', 'FROM', 'TO', 'CC', 'BODY', 'TEXT', 'HEADER From', 'HEADER Subject', 'HEADER Content-Type']
const fields = ['From', 'Bcc', 'Reply-To', 'Date', 'Content-Type', 'Content-Disposition', 'MIME-Version', 'Received']

/** One to fourteen octets of some message, asked for by one of the keys. */
function substringOf(messages: readonly Buffer[], draw: Draw): Command[] {
  const message = messages[between(draw, 0, messages.length - 1)]?.toString('latin1') ?? ''
  const from = between(draw, 0, message.length - 1)
  const value = Buffer.from(message.slice(from, from + between(draw, 1, 14)).replaceAll(/[\0\r\n]/g, ''), 'latin1')
  // What is not UTF-8 may not be asked for in it.
  if (value.length === 0 || !isUtf8(value)) return []
  return [[`SEARCH CHARSET UTF-8 ${keys[between(draw, 0, keys.length - 1)] ?? ''} `, value]]
}

test('SEARCH, SORT and THREAD answer as Dovecot does without an index', { timeout: 900_000 }, async (t) => {
  const pair = await besideDovecot(t)

  await t.test('about charsets and encodings of all kinds', async () => {
    const { messages, substrings } = searchCorpus(SEED, MESSAGES)
    await fill(pair, 'Corpus', [...messages, ...more])
    const commands: Command[] = [
      ...substrings(SUBSTRINGS).map(({ in: where, value }) => [
        `SEARCH CHARSET UTF-8 ${where.toUpperCase()} `,
        Buffer.from(value),
      ]),
      ...sortsAndThreads,
      ...['BEFORE', 'ON', 'SINCE'].flatMap((is) => days.map((day) => [`SEARCH SENT${is} ${day}`])),
      ...['BEFORE', 'ON', 'SINCE'].map((is) => [`SEARCH ${is} 14-Feb-2026`]),
      ...['HEADER X-Nothing ""', 'HEADER Cc ""', 'NOT SENTSINCE 1-Jan-1990', 'OR FROM ann SUBJECT budget'].map(
        (program) => [`SEARCH ${program}`],
      ),
      ...['1:5', '2:9999', '9999', 'NOT 9999', 'OR 9999 3', '*', 'UID 5:9999', 'UID *', 'UID 9999', 'UID 9999:*'].map(
        (numbers) => [`SEARCH ${numbers}`],
      ),
      ...['LARGER 400', 'SMALLER 400', 'UNSEEN', 'DELETED', 'KEYWORD none', 'UNKEYWORD none', 'NOT ALL'].map((key) => [
        `SEARCH ${key}`,
      ]),
    ]
    assert.ok((await compare(pair, commands)) > commands.length * 0.7, 'most commands find something')
  })

  await t.test(`about strange messages and ${MUTATIONS} mutations of them (seed ${SEED})`, async () => {
    const strange = strangeMessages()
    for (const { why, message } of others)
      assert.ok(
        strange.some(({ bytes }) => message.test(bytes.toString('latin1'))),
        `excuses nothing: ${why}`,
      )
    const mutated = fc.sample(mutation(strange), { numRuns: MUTATIONS, seed: SEED })
    const messages = comparable([...strange, ...mutated].map(({ bytes }) => bytes))
    await fill(pair, 'Strange', messages)
    const draw = seeded(SEED)
    const commands: Command[] = [
      ...Array.from({ length: STRANGE_SUBSTRINGS }, () => substringOf(messages, draw)).flat(),
      ...sortsAndThreads,
      ...['BEFORE', 'ON', 'SINCE'].flatMap((is) => days.map((day) => [`SEARCH SENT${is} ${day}`])),
      ...fields.flatMap((field) => ['""', 'a', '=?'].map((value) => [`SEARCH HEADER ${field} ${value}`])),
      ...['missing_mailbox', 'missing_domain', 'syntax_error', 'invalid_route', '<', ', '].map((value) => [
        `SEARCH FROM "${value}"`,
      ]),
    ]
    assert.ok((await compare(pair, commands)) > commands.length * 0.3, 'many commands find something')
  })
})
