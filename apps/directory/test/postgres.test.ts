/** The directory on PostgreSQL: replicas that share it, and what they do while it is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { addAccount, addDomain, listAccounts, listDomains } from '@postbus/contracts'
import { startPostgres } from '@postbus/testkit'

import { platform } from './harness.ts'

test('replicas that start at once on an empty PostgreSQL share it, and outlive its absence', async (t) => {
  const postgres = await startPostgres(t)
  const { bus, directory } = await platform(t)
  const settings = { DIRECTORY_DATABASE: postgres.url, DATABASE_BUSY_TIMEOUT_MS: '2000' }
  const replicas = await Promise.all([directory(settings), directory(settings), directory(settings)])
  const operator = await bus('operator')
  const domains = Array.from({ length: 12 }, (_, index) => `d${index + 10}.test`)
  await Promise.all(domains.map((domain) => operator.request(addDomain, { domain })))
  await operator.request(addAccount, { address: 'smith@d10.test', password: 'correct horse' })
  const listed = async () => (await operator.request(listDomains, { limit: 100 })).domains.map(({ domain }) => domain)
  // Whichever replica answers.
  for (const _ of replicas) assert.deepEqual(await listed(), domains)

  await postgres.stop()
  await assert.rejects(operator.request(listAccounts, {}))
  await assert.rejects(operator.request(addDomain, { domain: 'late.test' }))
  await postgres.start()
  await operator.request(addDomain, { domain: 'late.test' })
  assert.equal((await operator.request(listAccounts, {})).accounts[0]?.address, 'smith@d10.test')
  assert.deepEqual(await listed(), [...domains, 'late.test'])
  const told = replicas.flatMap(({ lines }) => lines.map(({ msg }) => msg))
  assert.ok(told.some((text) => text.startsWith('PostgreSQL cannot be reached')))
  assert.ok(!JSON.stringify(replicas.map(({ lines }) => lines)).includes(new URL(postgres.url).password))
})
