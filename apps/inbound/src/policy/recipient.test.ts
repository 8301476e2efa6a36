import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SmtpError } from '@postbus/smtp'

import { admitRecipient, type RecipientPorts } from './recipient.ts'

async function refusal(findRecipient: RecipientPorts['findRecipient']): Promise<string> {
  try {
    await admitRecipient('somebody@example.org', { findRecipient })
    return 'taken'
  } catch (error) {
    assert.ok(error instanceof SmtpError)
    return `${error.code} ${error.status}`
  }
}

test('only recipients of ours are taken, and each refusal says why', async () => {
  assert.equal(await refusal(async () => 'ours'), 'taken')
  assert.equal(await refusal(async () => 'unknown'), '550 5.1.1')
  assert.equal(await refusal(async () => 'disabled'), '550 5.2.1')
  assert.equal(await refusal(async () => 'foreign'), '550 5.7.1')
})

test('a directory that does not answer is never a permanent refusal', async () => {
  assert.equal(await refusal(() => Promise.reject(new Error('nobody answers'))), '451 4.4.3')
})
