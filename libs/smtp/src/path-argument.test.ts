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

test("the root's dot, which no other host need take, goes", () => {
  for (const [text, path] of [
    ['TO:<smith@Example.ORG.>', 'smith@Example.ORG'],
    ['TO:<@relay.test.:smith@example.org.>', 'smith@example.org'],
    ['TO:<"dot."@example.org>', '"dot."@example.org'],
    ['TO:<smith@[192.0.2.1]>', 'smith@[192.0.2.1]'],
    ['TO:<Postmaster>', 'Postmaster'],
  ] as const) {
    const argument = to(text)
    assert.ok(typeof argument === 'object', text)
    assert.equal(argument.path, path)
  }
  for (const text of ['TO:<smith@example.org..>', 'TO:<smith@.>', 'TO:<smith@[192.0.2.1].>', 'TO:<Postmaster.>']) {
    assert.equal(to(text), 'path', text)
  }
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
