import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MailOut } from '@postbus/contracts'

import { taskTo } from '../../test/samples.ts'
import type { Route } from './route.ts'
import { attemptEach, shareTransaction } from './share-transaction.ts'

/** By site; a.test takes two at once. */
const routeOf = ({ site }: MailOut): Route => ({
  ...{ key: site, shared: false, rule: null, tls: 'opportunistic', auth: null },
  ...{
    way: { kind: 'mx', domain: site, port: null, named: false },
    policy: site === 'a.test' ? { maxRecipients: 2 } : {},
  },
})

test('tasks share a transaction if they have one route, and no more of them than its next hop takes', () => {
  const paths = ['1@a.test', '1@b.test', '2@a.test', '3@a.test', '2@b.test', '3@b.test']
  const tasks = paths.map((path) => taskTo(path, { site: path.slice(2) }))
  const shared = shareTransaction(tasks, routeOf)
  assert.deepEqual(
    shared.map(({ route, tasks: all }) => [route.key, all.map(({ forwardPath }) => forwardPath.slice(0, 1)).join('')]),
    [
      ['a.test', '12'],
      ['a.test', '3'],
      ['b.test', '123'],
    ],
  )
})

/** What happened, up to where the news is known; then the outcomes. */
async function attempted(paths: readonly string[]) {
  const tasks = paths.map((path) => taskTo(path, { site: path.slice(2) }))
  const events: string[] = []
  const { news, settle } = await attemptEach<string>(tasks, routeOf, async (shared, { key }) => {
    events.push(`spoke to ${key}`)
    return {
      news: key === 'a.test' ? { kind: 'busy', reason: key } : { kind: 'well' },
      async settle() {
        events.push(`settled ${key}`)
        return shared.map(({ forwardPath }) => `sent ${forwardPath}`)
      },
    }
  })
  return { news: news.kind, events: [...events], outcomes: await settle() }
}

test('tasks of one route are settled by whoever asked, after the news', async () => {
  assert.deepEqual(await attempted(['1@b.test', '2@b.test']), {
    news: 'well',
    events: ['spoke to b.test'],
    outcomes: ['sent 1@b.test', 'sent 2@b.test'],
  })
})

test('of several routes each is settled before the next transaction, and every task has its own outcome', async () => {
  assert.deepEqual(await attempted(['1@b.test', '1@a.test', '2@b.test']), {
    news: 'busy',
    events: ['spoke to b.test', 'settled b.test', 'spoke to a.test', 'settled a.test'],
    outcomes: ['sent 1@b.test', 'sent 1@a.test', 'sent 2@b.test'],
  })
})
