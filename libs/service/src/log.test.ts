import assert from 'node:assert/strict'
import { test } from 'node:test'

import { currentTrace, inTrace } from '@postbus/tracing'

import { createLog, type LogOptions } from './log.ts'

function logging(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const service = createLog('test', { level: 'info', ...options, destination })
  return { ...{ service, lines }, log: service.log, line: (at = 0): unknown => JSON.parse(lines[at] ?? '') }
}

test('passwords, tokens and keys do not reach the log, at the top of a line or one level below', () => {
  const { log, lines, line } = logging()
  log.info({ password: 'hunter2', login: { token: 'hunter2', username: 'smith' }, nkeySeed: 'hunter2' }, 'login')
  assert.doesNotMatch(lines.join(''), /hunter2/)
  const parsed = line()
  assert.ok(typeof parsed === 'object' && parsed !== null && 'login' in parsed)
  assert.deepEqual(parsed.login, { token: '(hidden)', username: 'smith' })
})

test('a line written inside a trace names it', () => {
  const { log, lines } = logging()
  const traceId = inTrace(undefined, () => {
    log.info('inside')
    return currentTrace()?.traceId
  })
  log.info('outside')
  assert.match(lines[0] ?? '', new RegExp(`"traceId":"${traceId}"`))
  assert.doesNotMatch(lines[1] ?? '', /traceId/)
})

test('a level set later holds for loggers made before, and back again', () => {
  const { service, log, lines } = logging()
  const child = log.child({ queueId: 'q' })
  child.debug('one')
  service.level = 'debug'
  child.debug('two')
  service.level = 'error'
  child.info('three')
  child.error('four')
  assert.deepEqual(
    lines.map((line) => /"msg":"(\w+)"/.exec(line)?.[1]),
    ['two', 'four'],
  )
})

test('warnings and errors are counted whether they are written or not', () => {
  const { service, log } = logging({ level: 'fatal' })
  log.warn('a')
  log.child({}).error('b')
  log.fatal('c')
  log.info('d')
  assert.deepEqual(service.troubles.within(5), { warnings: 1, errors: 2 })
})

test('secrets do not reach the log through what a logger always says, or through an error', () => {
  const { log, lines } = logging()
  const error = Object.assign(new Error('refused', { cause: new Error('why') }), { code: 'EAUTH', password: 'hunter2' })
  log.child({ session: { token: 'hunter2' }, secret: 'hunter2' }).warn({ err: error, other: error }, 'login')
  log.error(error)
  assert.doesNotMatch(lines.join(''), /hunter2/)
  for (const line of lines) {
    const { err }: { err: { message: string; stack: string; code: string } } = JSON.parse(line)
    assert.match(err.message, /^refused/)
    assert.match(err.stack, /log\.test/)
    assert.equal(err.code, 'EAUTH')
  }
})

test('what is logged is not changed by it', () => {
  const { log } = logging()
  const login = { token: 'hunter2' }
  const fields = { password: 'hunter2', login }
  log.info(fields, 'login')
  assert.deepEqual(fields, { password: 'hunter2', login: { token: 'hunter2' } })
})
