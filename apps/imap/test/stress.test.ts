/** Many sessions on one mailbox at once: each is told in order what the others do, and all come to know the same. */
import { test } from 'node:test'

import { stressImap } from '@postbus/testkit'

import { seed as fill } from './memory/messages.ts'
import { ANN, PASSWORD, startServer } from './memory/server.ts'

for (const seed of [1, 2, 3]) {
  test(`sessions that do random things at once see one mailbox (seed ${seed})`, { timeout: 180_000 }, async (t) => {
    const { port, mailstore } = await startServer(t)
    fill(mailstore, ANN)
    mailstore.make(ANN, 'elsewhere')
    const account = { user: 'ann@example.test', password: PASSWORD, mailbox: 'INBOX', other: 'elsewhere' }
    await stressImap({ ports: [port], ...account, sessions: 10, commands: 100, seed })
  })
}
