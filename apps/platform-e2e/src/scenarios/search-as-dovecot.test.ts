/**
 * What SEARCH, SORT and THREAD answer about a seeded corpus is what Dovecot answers, which has no index: 500 substrings out
 * of its texts, headers, dates, every sort criterion, both threadings. Both get the messages by APPEND.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { searchCorpus } from '@postbus/testkit'

import { besideDovecot, type Pair } from '../beside-dovecot.ts'
import type { ImapDialogue } from '../imap-dialogue.ts'
import { SEED } from '../under-load.ts'

const MESSAGES = 100
const SUBSTRINGS = 500

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

async function fill(pair: Pair, messages: readonly Buffer[]): Promise<void> {
  for (const dialogue of Object.values(pair)) {
    await dialogue.ok('CREATE corpus')
    for (const [index, octets] of messages.entries()) {
      const day = String(1 + (index % 28)).padStart(2, '0')
      await dialogue.ok(`APPEND corpus "${day}-Feb-2026 10:00:00 +0000" `, octets)
    }
    await dialogue.ok('SELECT corpus')
  }
}

/** The one untagged line of the answer. */
async function answer(dialogue: ImapDialogue, command: readonly (string | Buffer)[]): Promise<string> {
  const untagged = await dialogue.ok(...command)
  return untagged.map((line) => line.toString().trimEnd()).find((line) => /^(SEARCH|SORT|THREAD)\b/.test(line)) ?? ''
}

test('SEARCH, SORT and THREAD answer as Dovecot does without an index', { timeout: 600_000 }, async (t) => {
  const pair = await besideDovecot(t)
  const { messages, substrings } = searchCorpus(SEED, MESSAGES)
  await fill(pair, [...messages, ...more])
  const commands: (string | Buffer)[][] = [
    ...substrings(SUBSTRINGS).map(({ in: where, value }) => [
      `SEARCH CHARSET UTF-8 ${where.toUpperCase()} `,
      Buffer.from(value),
    ]),
    ...criteria.flatMap((by) => [[`SORT (${by}) UTF-8 ALL`], [`SORT (REVERSE ${by}) UTF-8 ALL`]]),
    ...['REFERENCES', 'ORDEREDSUBJECT'].map((algorithm) => [`THREAD ${algorithm} UTF-8 ALL`]),
    ...['BEFORE', 'ON', 'SINCE'].flatMap((is) => days.map((day) => [`SEARCH SENT${is} ${day}`])),
    ...['BEFORE', 'ON', 'SINCE'].map((is) => [`SEARCH ${is} 14-Feb-2026`]),
    ...['HEADER X-Nothing ""', 'HEADER Cc ""', 'NOT SENTSINCE 1-Jan-1990', 'OR FROM ann SUBJECT budget'].map((keys) => [
      `SEARCH ${keys}`,
    ]),
    ...['1:5', '2:9999', '9999', 'NOT 9999', 'OR 9999 3', '*', 'UID 5:9999', 'UID *', 'UID 9999', 'UID 9999:*'].map(
      (numbers) => [`SEARCH ${numbers}`],
    ),
    ...['LARGER 400', 'SMALLER 400', 'UNSEEN', 'DELETED', 'KEYWORD none', 'UNKEYWORD none', 'NOT ALL'].map((key) => [
      `SEARCH ${key}`,
    ]),
  ]
  const differences: string[] = []
  let found = 0
  for (const command of commands) {
    const [dovecot, ours] = await Promise.all([answer(pair.dovecot, command), answer(pair.ours, command)])
    if (dovecot !== ours) differences.push(`${command.map(String).join('')}\n  Dovecot: ${dovecot}\n  ours:    ${ours}`)
    if (/[0-9]/.test(dovecot)) found++
  }
  assert.deepEqual(differences, [], `seed ${SEED}`)
  assert.ok(found > commands.length * 0.7, 'most commands find something')
})
