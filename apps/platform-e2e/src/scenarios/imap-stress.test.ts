/** Sessions of one account in two imap processes do random things to one mailbox at once, and all come to know the same. */
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { stressImap } from '@postbus/testkit'

import { startPlatform } from '../platform.ts'
import { addAccounts } from '../postbus.ts'

test('random work of many sessions on one mailbox leaves none of them wrong', async (t) => {
  const platform = await startPlatform(t, { args: ['--replicas', 'imap=2'] })
  const ready = platform.ready()
  const { green } = await addAccounts(ready, ['green'])
  const ports = ['imaps', 'imaps-2'].map((name) => ready.ports[name] ?? 0)
  const tls = { ca: await readFile(ready.ca, 'utf8'), servername: 'localhost' }
  const connection = { ports, implicitTls: true, tls, timeoutMs: 60_000 }
  const account = { user: green.address, password: green.password, mailbox: 'INBOX', other: 'Archive' }
  await stressImap({ ...connection, ...account, sessions: 8, commands: 60, seed: 1 })
})
