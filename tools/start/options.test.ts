import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startOptions, UsageError } from './options.ts'

test('replicas imply a process per service', () => {
  assert.equal(startOptions([], '/root')?.processes, false)
  const options = startOptions(['--replicas', 'router=2,imap=0'], '/root')
  assert.deepEqual([options?.processes, options?.replicas.router, options?.replicas.imap], [true, 2, 0])
})

test('an unknown argument, service, port or setting is named', () => {
  for (const args of [
    ['--dta', 'x'],
    ['--replicas', 'smtp=2'],
    ['--base-port', '80000'],
    ['--set', 'X'],
    ['--bus-bytes', '4G'],
    ['--bus-admin', 'me'],
  ]) {
    assert.throws(() => startOptions(args, '/root'), UsageError)
  }
})
