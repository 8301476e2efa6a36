import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseCommand, UsageError, type StartOptions } from './options.ts'

function started(...args: string[]): StartOptions {
  const command = parseCommand(args, '/root')
  return command.kind === 'start' ? command.options : assert.fail(`a ${command.kind}`)
}

test('replicas imply a process per service', () => {
  assert.equal(started().processes, false)
  const options = started('--replicas', 'router=2,imap=0')
  assert.deepEqual([options.processes, options.replicas.router, options.replicas.imap], [true, 2, 0])
})

test('scale-out has two of everything, in shared processes unless counts are given', () => {
  const { replicas, processes } = started('--profile', 'scale-out')
  assert.deepEqual(new Set(Object.values(replicas)), new Set([2]))
  assert.equal(processes, false)
  const scaled = started('--profile', 'scale-out', '--replicas', 'router=4', '--bytes', 's3://mail/here')
  assert.deepEqual([scaled.replicas.router, scaled.replicas.imap, scaled.processes], [4, 2, true])
  assert.deepEqual(scaled.bytes, { bucket: 's3://mail/here' })
})

test('scale names how many of what, in which platform', () => {
  assert.deepEqual(parseCommand(['scale', 'router=4', 'imap=0', '--data', '/x'], '/root'), {
    kind: 'scale',
    options: { data: '/x', replicas: { router: 4, imap: 0 } },
  })
})

test('an unknown argument, service, port or setting is named', () => {
  for (const args of [
    ['--dta', 'x'],
    ['--replicas', 'smtp=2'],
    ['--replicas', 'router=99'],
    ['--base-port', '80000'],
    ['--set', 'X'],
    ['--set', 'DELIVERY_SITE_CONCURENCY=5'],
    ['--bus-bytes', '4G'],
    ['--bus-admin', 'me'],
    ['--profile', 'huge'],
    ['--postgres', 'postgres://x'],
    ['--profile', 'scale-out', '--postgres', 'mysql://x'],
    ['--profile', 'scale-out', '--bytes', 'tape'],
    ['scale'],
    ['scale', 'router'],
    ['grow', 'router=2'],
  ]) {
    assert.throws(() => parseCommand(args, '/root'), UsageError, args.join(' '))
  }
})
