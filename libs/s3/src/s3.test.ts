import assert from 'node:assert/strict'
import { test } from 'node:test'

import { z } from 'zod'

import { errorIn, objectsIn, uploadsIn } from './documents.ts'
import { inParts, s3Location } from './index.ts'
import { isS3, s3Options, s3Settings } from './settings.ts'

test('a location names a bucket and what its keys begin with', () => {
  assert.deepEqual(s3Location('s3://mail'), { bucket: 'mail', prefix: '' })
  assert.deepEqual(s3Location('s3://mail/'), { bucket: 'mail', prefix: '' })
  assert.deepEqual(s3Location('s3://mail/a/b.c'), { bucket: 'mail', prefix: 'a/b.c/' })
  for (const bad of [
    's3://',
    's3://M',
    's3://ab',
    's3://mail/../x',
    's3://mail/a b',
    's3://mail//a',
    's3://mail/a?b',
    '/dir',
  ]) {
    assert.throws(() => s3Location(bad), TypeError, bad)
  }
  assert.equal(isS3('data/spool'), false)
})

test('without an endpoint it is Amazon, and without keys it is a mistake that is told', () => {
  const parse = (env: Record<string, string>) => s3Options(z.object(s3Settings).parse(env))
  const keys = { S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'secret' }
  assert.equal(parse({ ...keys, S3_REGION: 'eu-west-1' }).endpoint, 'https://s3.eu-west-1.amazonaws.com')
  assert.equal(parse({ ...keys, S3_ENDPOINT: 'http://127.0.0.1:9000/' }).endpoint, 'http://127.0.0.1:9000')
  assert.throws(() => parse({ S3_ACCESS_KEY_ID: 'id' }), /S3_SECRET_ACCESS_KEY/)
})

test('a body is cut into parts of one size, whatever its pieces; only the last is shorter, and an empty one has one', async () => {
  for (const [size, piece, expected] of [
    [0, 1, [0]],
    [9, 2, [9]],
    [10, 3, [10]],
    [11, 50, [10, 1]],
    [35, 7, [10, 10, 10, 5]],
  ] as const) {
    const parts = await Array.fromAsync(inParts(pieces(size, piece), 10))
    assert.deepEqual(
      parts.map(({ bytes }) => bytes.length),
      expected,
    )
    assert.deepEqual(
      parts.map(({ isLast }) => isLast),
      expected.map((_, n) => n === expected.length - 1),
    )
    assert.deepEqual([...Buffer.concat(parts.map(({ bytes }) => bytes))], [...Array(size).keys()])
  }
})

async function* pieces(size: number, piece: number): AsyncGenerator<Uint8Array> {
  const all = Buffer.from([...Array(size).keys()])
  for (let at = 0; at < size; at += piece) yield all.subarray(at, at + piece)
}

test('documents are read as they are sent: lists of none, one and more, names in them, and errors behind a 200', () => {
  const page = (entries: string, more = '') =>
    Buffer.from(
      `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${more}${entries}</ListBucketResult>`,
    )
  const entry = (key: string) =>
    `<Contents><Key>${key}</Key><Size>12</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`
  assert.deepEqual(objectsIn(page('')), { objects: [], next: null })
  const modifiedAt = new Date('2026-01-02T03:04:05Z')
  assert.deepEqual(objectsIn(page(entry('0012'))).objects, [{ key: '0012', size: 12, modifiedAt }])
  const more = '<IsTruncated>true</IsTruncated><NextContinuationToken>a+b/c=</NextContinuationToken>'
  assert.equal(objectsIn(page(entry('a') + entry('b'), more)).next, 'a+b/c=')
  assert.deepEqual(uploadsIn(Buffer.from('<ListMultipartUploadsResult/>')), { uploads: [], next: null })
  assert.deepEqual(errorIn(Buffer.from('<Error><Code>InternalError</Code><Message>again</Message></Error>')), {
    code: 'InternalError',
    message: 'again',
  })
  assert.equal(errorIn(Buffer.from('')), null)
})
