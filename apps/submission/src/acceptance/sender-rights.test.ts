import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseHeader } from '@postbus/message'
import { SmtpError } from '@postbus/smtp'

import { checkAuthors, checkReversePath } from './sender-rights.ts'

const own = /^jones@example\.org$/i
const asked: string[][] = []
const ports = {
  async deniedSenders(_account: string, addresses: readonly string[]) {
    asked.push([...addresses])
    return addresses.filter((address) => !own.test(address))
  },
}

async function verdict(check: Promise<void>): Promise<string> {
  try {
    await check
    return 'permitted'
  } catch (error) {
    assert.ok(error instanceof SmtpError, String(error))
    return `${error.code} ${error.status}`
  }
}

const authors = (...lines: string[]): Promise<string> =>
  verdict(checkAuthors('a0000001', parseHeader(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)), ports))

test('every address in From and Sender must be the account’s', async () => {
  assert.equal(await authors('From: Jones <Jones@example.org>'), 'permitted')
  assert.equal(await authors('From: jones@example.org', 'Sender: jones@example.org'), 'permitted')
  assert.equal(await authors('From: brown@example.org'), '550 5.7.1')
  assert.equal(await authors('From: jones@example.org, brown@example.org'), '550 5.7.1')
  assert.equal(await authors('From: jones@example.org', 'Sender: brown@example.org'), '550 5.7.1')
  assert.equal(await authors('From: Team: jones@example.org, brown@example.org;'), '550 5.7.1')
})

test('a field name or address that is disguised is still seen', async () => {
  assert.equal(await authors('fRoM : brown@example.org'), '550 5.7.1')
  assert.equal(await authors('From:', ' brown@example.org'), '550 5.7.1')
  assert.equal(await authors('From: jones@example.org <brown@example.org>'), '550 5.7.1')
  assert.equal(await authors('From: brown@example.org <jones@example.org>'), '550 5.7.1')
  assert.equal(await authors('From: brown@example.org, jones@example.org <jones@example.org>'), '550 5.6.0')
  assert.equal(await authors('From: "jones@example.org" <brown@example.org>'), '550 5.7.1')
  assert.equal(await authors('From: jones@example.org (hi), (x) brown@example.org'), '550 5.7.1')
})

test('an address of the account that is also the name in front of it, without quotes, will do', async () => {
  assert.equal(await authors('From: jones@example.org <Jones@example.org>'), 'permitted')
  assert.equal(await authors('From: jones@example.org', ' <jones@example.org>'), 'permitted')
})

test('a header without exactly one readable author is refused, never guessed', async () => {
  for (const lines of [
    ['Subject: x'],
    ['From: jones@example.org', 'From: jones@example.org'],
    ['From: jones@example.org', 'Sender: jones@example.org', 'Sender: jones@example.org'],
    ['From: jones'],
    ['From:'],
    ['From: undisclosed:;'],
    ['From: jones@example.org, broken'],
    ['From: <jones@example.org'],
  ]) {
    assert.equal(await authors(...lines), '550 5.6.0', lines.join(' | '))
  }
})

test('the reverse-path must be the account’s, unless it is null', async () => {
  assert.equal(await verdict(checkReversePath('a0000001', 'jones@example.org', ports)), 'permitted')
  assert.equal(await verdict(checkReversePath('a0000001', '', ports)), 'permitted')
  assert.equal(await verdict(checkReversePath('a0000001', 'brown@example.org', ports)), '550 5.7.1')
})

test('a directory that does not answer is temporary', async () => {
  const down = { deniedSenders: () => Promise.reject(new Error('down')) }
  assert.equal(await verdict(checkReversePath('a0000001', 'jones@example.org', down)), '451 4.4.3')
})
