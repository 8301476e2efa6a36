import assert from 'node:assert/strict'
import { test } from 'node:test'

import { scrapeTargets } from './scrape-targets.ts'

test('every copy is a target; its job is the service, its instance the copy', () => {
  const targets: unknown = JSON.parse(
    scrapeTargets([
      { service: 'router', name: 'router', healthPort: 8003 },
      { service: 'router', name: 'router-2', healthPort: 8004 },
    ]),
  )
  assert.deepEqual(targets, [
    { targets: ['127.0.0.1:8003'], labels: { job: 'router', instance: 'router' } },
    { targets: ['127.0.0.1:8004'], labels: { job: 'router', instance: 'router-2' } },
  ])
})
