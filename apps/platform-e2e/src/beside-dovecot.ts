/** Our platform and a Dovecot, each with a user logged in over IMAP, to be told the same and to answer the same. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { startDovecot } from './dovecot.ts'
import { ImapDialogue } from './imap-dialogue.ts'
import { startPlatform } from './platform.ts'

export interface Pair {
  dovecot: ImapDialogue
  ours: ImapDialogue
}

export async function besideDovecot(t: TestContext): Promise<Pair> {
  const [reference, platform] = await Promise.all([
    startDovecot(t),
    startPlatform(t, { env: { IMAP_PLAINTEXT_LOGIN: 'true' } }),
  ])
  await platform.untilReady()
  const { ports, accounts } = platform.ready()
  const { address, password } = accounts[0] ?? assert.fail('no demo account')
  const pair = {
    dovecot: await ImapDialogue.open(reference.port, 'smith', reference.password),
    ours: await ImapDialogue.open(ports['imap'] ?? 0, address, password),
  }
  t.after(() => [pair.dovecot, pair.ours].forEach((dialogue) => dialogue.close()))
  return pair
}
