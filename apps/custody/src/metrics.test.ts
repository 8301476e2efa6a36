import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Registry } from '@postbus/metrics'

import { custodyMetrics } from './metrics.ts'

test('what a scan found is told by who leads, and by nobody who does no more', async () => {
  const registry = new Registry()
  const count = async () => ({ phases: { open: 0, reportDue: 0, settled: 0, buried: 0 }, openRecipients: 0 })
  const oldestReady = async () => ({ routing: null, mailbox: null, attempt: null })
  const metrics = custodyMetrics(registry, { count, oldestReady })
  const told = async () => {
    const { values = [] } = (await registry.getSingleMetric('mail_custody_books_difference')?.get()) ?? {}
    return values.map(({ labels, value }) => [labels['of'], value])
  }
  assert.deepEqual(await told(), [])
  metrics.leading(true)
  metrics.balanced({ differences: { originals: 0, recipients: 2, merged: -1 } })
  assert.deepEqual(await told(), [
    ['originals', 0],
    ['recipients', 2],
    ['merged', -1],
  ])
  metrics.scanned(3, 0.5)
  metrics.leading(false)
  assert.deepEqual(await told(), [])
  const records = await registry.getSingleMetric('mail_custody_spool_records')?.get()
  assert.deepEqual(
    records?.values.map(({ value }) => value),
    [0],
  )
})
