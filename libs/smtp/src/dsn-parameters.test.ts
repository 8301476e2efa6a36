import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseEnvid, parseNotify, parseOrcpt, parseRet } from './dsn-parameters.ts'
import { decodeUtf8Address, decodeXtext, encodeUtf8Address, encodeXtext } from './xtext.ts'

test('xtext is decoded, and what is not xtext refused', () => {
  assert.equal(decodeXtext('a+2Bb+3Dc+20d'), 'a+b=c d')
  for (const text of ['a+2b', 'a+', 'a=b', 'a b', '+0D+0A', '+00', '+7F', '+C3+A9', 'é']) {
    assert.equal(decodeXtext(text), null, text)
  }
})

test('what is encoded is decoded to the same', () => {
  for (const text of ['', 'plain', 'a+b=c d', '"quoted\\"']) assert.equal(decodeXtext(encodeXtext(text)), text)
  for (const text of ['jönes@exämple.org', 'a\\b', '日本 x']) {
    assert.equal(decodeUtf8Address(encodeUtf8Address(text)), text)
  }
})

test('RET, ENVID and NOTIFY take what RFC 3461 allows and nothing else', () => {
  assert.equal(parseRet('hdrs'), 'HDRS')
  assert.equal(parseRet('ALL'), null)
  assert.equal(parseEnvid('QQ314159'), 'QQ314159')
  assert.equal(parseEnvid('a+2Bb'), 'a+b')
  assert.equal(parseEnvid('x'.repeat(101)), null)
  assert.deepEqual(parseNotify('success,FAILURE'), ['SUCCESS', 'FAILURE'])
  assert.deepEqual(parseNotify('NEVER'), ['NEVER'])
  for (const value of ['NEVER,SUCCESS', 'SUCCESS,', 'ALWAYS', '']) assert.equal(parseNotify(value), null, value)
})

test('ORCPT keeps its type and gives the decoded address', () => {
  assert.equal(parseOrcpt('rfc822;Bob+2Bx@Example.com'), 'rfc822;Bob+x@Example.com')
  assert.equal(parseOrcpt('utf-8;j\\x{F6}nes@example.org'), 'utf-8;jönes@example.org')
  assert.equal(parseOrcpt('utf-8;jönes@example.org'), 'utf-8;jönes@example.org')
  for (const value of [
    'rfc822',
    'rfc822;',
    ';x',
    'rfc822;a b',
    'rfc822;+0D',
    'utf-8;\\x{0D}',
    'utf-8;\\x{110000}',
    `x;${'y'.repeat(500)}`,
  ]) {
    assert.equal(parseOrcpt(value), null, value)
  }
})
