/** What an operator makes with the `postbus` command, mail to port 25 obeys at once: every kind of address, and where a message is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { inTheBooks } from '../books.ts'
import { messages } from '../mailboxes.ts'
import { startPlatform, until } from '../platform.ts'
import { addAccounts, postbus, type Account } from '../postbus.ts'
import { bySwaks, queueIdOf } from '../sending.ts'

interface Where {
  originals: { recipient: { forwardPath: string }; routed: boolean }[]
  recipients: { forwardPath: string; state: string; detail?: string }[]
  freedAt?: string
}

const field = (message: Buffer, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)\r$`, 'im').exec(message.toString('latin1'))?.[1]

test('addresses, as the operator makes them', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const people = await addAccounts(ready, ['green', 'white', 'black', 'owner'])
  const { green, white, black, owner } = people
  const set = (...args: string[]) => postbus<unknown>(ready, ...args)

  /** Sends a message of its own subject. */
  const mail = async (to: string, subject: string): Promise<string> =>
    queueIdOf(await bySwaks(ready, { from: 'writer@example.com', to, header: [`Subject: ${subject}`] }))
  const where = (queueId: string) => postbus<Where>(ready, 'where', queueId)
  /** Once every recipient has ended. */
  const ended = async (queueId: string): Promise<Where> => {
    let found: unknown
    await until(
      async () => {
        const { recipients = [] } = (await inTheBooks(ready, queueId)) ?? {}
        found = recipients
        return recipients.length > 0 && recipients.every(({ state }) => state !== 'routed')
      },
      60_000,
      () => `still open: ${JSON.stringify(found)}`,
    )
    return where(queueId)
  }
  const copies = async (account: Account, subject: string): Promise<Buffer[]> =>
    (await messages(ready, account, 0)).filter((message) => field(message, 'Subject') === subject)
  /** The only copy in a mailbox. */
  const copy = async (account: Account, subject: string): Promise<Buffer> => {
    const found = await copies(account, subject)
    assert.equal(found.length, 1, `${found.length} copies of ${subject} for ${account.address}`)
    return found[0] ?? assert.fail()
  }

  await t.test('an alias with several members: one copy each, the sender stays', async () => {
    await set('alias', 'add', 'info@example.org', ...[green, white, black].flatMap((one) => ['--member', one.address]))
    const { originals, recipients } = await ended(await mail('info@example.org', 'alias'))
    assert.equal(originals.length, 1)
    assert.deepEqual(
      recipients.map(({ state }) => state),
      ['delivered', 'delivered', 'delivered'],
    )
    for (const account of [green, white, black]) {
      assert.equal(field(await copy(account, 'alias'), 'Return-Path'), '<writer@example.com>')
    }
  })

  await t.test('a list: reports go to its owner', async () => {
    const members = [green, white].flatMap((one) => ['--member', one.address])
    await set('list', 'add', 'team@example.org', '--owner', owner.address, ...members)
    await ended(await mail('team@example.org', 'list'))
    for (const account of [green, white]) {
      assert.equal(field(await copy(account, 'list'), 'Return-Path'), '<owner@example.org>')
    }
    assert.deepEqual(await copies(owner, 'list'), [])
  })

  await t.test('a discarding address: taken, kept by nobody, and the books say so', async () => {
    await set('alias', 'add', 'noreply@example.org', '--kind', 'discard')
    const { recipients } = await ended(await mail('noreply@example.org', 'discard'))
    assert.deepEqual(
      recipients.map(({ state }) => state),
      ['discarded'],
    )
  })

  await t.test('plus-addressing and another case', async () => {
    await ended(await mail('Green+shop@Example.ORG', 'detail'))
    await copy(green, 'detail')
  })

  await t.test('a domain alias and a rewritten domain', async () => {
    await set('domain', 'add', 'alias.example', '--alias-of', 'example.org')
    await set('domain', 'add', 'rewrite.example', '--rewrite-to', 'example.org')
    await ended(await mail('green@alias.example', 'domain alias'))
    await ended(await mail('white@rewrite.example', 'rewritten'))
    await copy(green, 'domain alias')
    await copy(white, 'rewritten')
  })

  await t.test('an unknown recipient is refused at RCPT, until there is a catch-all', async () => {
    const refused = await bySwaks(ready, { from: 'writer@example.com', to: 'nobody@example.org' })
    assert.match(refused, /^<\*\* 550 5\.1\.1 /m)
    await set('domain', 'change', 'example.org', '--catch-all', black.address)
    let queueId = ''
    await until(
      async () => {
        const to = 'nobody@example.org'
        const said = await bySwaks(ready, { from: 'writer@example.com', to, header: ['Subject: catch-all'] })
        if (/^<\*\* 550 /m.test(said)) return false
        queueId = queueIdOf(said)
        return true
      },
      60_000,
      () => 'still refused',
    )
    await ended(queueId)
    await copy(black, 'catch-all')
    await set('domain', 'change', 'example.org', '--catch-all', 'none')
  })

  await t.test('a disabled account refuses mail and logins', async () => {
    await set('account', 'change', owner.address, '--disable')
    const said = () => bySwaks(ready, { from: 'writer@example.com', to: owner.address })
    let last = ''
    await until(
      async () => {
        last = await said()
        return /^<\*\* 550 5\.2\.1 /m.test(last)
      },
      60_000,
      () => last,
    )
    await assert.rejects(messages(ready, owner, 0))
  })

  await t.test('where a message is: delivered, and then freed', async () => {
    const queueId = await mail(green.address, 'where')
    const { recipients, originals } = await ended(queueId)
    assert.deepEqual(
      recipients.map(({ forwardPath, state }) => [forwardPath, state]),
      [['green@example.org', 'delivered']],
    )
    assert.ok(originals.every(({ routed }) => routed))
    await until(
      async () => (await inTheBooks(ready, queueId))?.freedAt !== undefined,
      60_000,
      () => `${queueId} is not freed`,
    )
  })
})
