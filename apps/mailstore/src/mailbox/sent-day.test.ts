import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sentDayOf } from './sent-day.ts'

test('the day is the one written, whatever the zone', () => {
  assert.equal(sentDayOf('Mon, 07 Feb 1994 23:59:59 -0800'), '1994-02-07')
  assert.equal(sentDayOf('7 February 1994'), '1994-02-07')
  assert.equal(sentDayOf(' Wed , 1 (first) Jan 2025 00:00 +0000'), '2025-01-01')
})

test('old years have two or three digits', () => {
  assert.equal(sentDayOf('1 Jan 49 00:00 GMT'), '2049-01-01')
  assert.equal(sentDayOf('1 Jan 50 00:00 GMT'), '1950-01-01')
  assert.equal(sentDayOf('1 Jan 104 00:00 GMT'), '2004-01-01')
})

test('what names no day has none', () => {
  for (const date of ['', 'yesterday', '31 Jun 2024', '2024-06-01', '1 Foo 2024', '1 Jan 12345']) {
    assert.equal(sentDayOf(date), null, date)
  }
})
