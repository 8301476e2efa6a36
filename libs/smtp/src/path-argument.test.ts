import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePathArgument } from './path-argument.ts'

const from = (text: string) => parsePathArgument('FROM', text)
const to = (text: string) => parsePathArgument('TO', text)

test('path and parameters are told apart, keywords without regard to case', () => {
  assert.deepEqual(from('FROM:<Smith@Example.COM> SIZE=1000 body=8BITMIME SMTPUTF8'), {
    path: 'Smith@Example.COM',
    address: { localPart: 'Smith', domain: 'Example.COM' },
    parameters: new Map([
      ['SIZE', '1000'],
      ['BODY', '8BITMIME'],
      ['SMTPUTF8', null],
    ]),
  })
  assert.deepEqual(to('to:<>'), { path: '', address: null, parameters: new Map() })
})

test('the spelling stays, the source route goes', () => {
  const argument = to('TO:<@relay.test:"John Doe"@Example.ORG>')
  assert.ok(typeof argument === 'object')
  assert.equal(argument.path, '"John Doe"@Example.ORG')
})

test('a bracket inside a quoted local part does not end the path', () => {
  const argument = to('TO:<"a>b\\"<c"@example.org> NOTIFY=NEVER')
  assert.ok(typeof argument === 'object')
  assert.equal(argument.path, '"a>b\\"<c"@example.org')
  assert.equal(argument.parameters.get('NOTIFY'), 'NEVER')
})

test('faults are named', () => {
  for (const text of ['', 'FROM', 'FROM:', 'FROM:a@b', 'TO:<a@b>', 'FROM <a@b>', 'FROM:<a@b', 'FROM:<a@b>SIZE=1']) {
    assert.equal(from(text), 'syntax', text)
  }
  for (const text of ['FROM:<a>', 'FROM:<a b@c>', 'FROM:<@x:>', `FROM:<a@${'x.'.repeat(200)}y>`]) {
    assert.equal(from(text), 'path', text)
  }
  for (const text of ['FROM:<a@b> SIZE=1 SIZE=1', 'FROM:<a@b> =x', 'FROM:<a@b> SIZE=', 'FROM:<a@b> A=b=c']) {
    assert.equal(from(text), 'parameters', text)
  }
})

test('spaces after the colon are forgiven', () => {
  assert.ok(typeof from('FROM: <a@b.test>') === 'object')
})
