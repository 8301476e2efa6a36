import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MailOut } from '@postbus/contracts'

import { taskTo } from '../../test/samples.ts'
import type { Route } from './route.ts'
import { shareTransaction } from './share-transaction.ts'

test('tasks share a transaction if they have one route, and no more of them than its next hop takes', () => {
  const routeOf = ({ site }: MailOut): Route => ({
    ...{ key: site, shared: false, rule: null, tls: 'opportunistic', auth: null },
    ...{
      way: { kind: 'mx', domain: site, port: null, named: false },
      policy: site === 'a.test' ? { maxRecipients: 2 } : {},
    },
  })
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
