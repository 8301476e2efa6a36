/** What every store of blobs must keep, whatever it is made of. */
import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'

import { BlobExists, type Blobs, BlobTooLarge, InvalidBlobKey, NoSuchBlob } from './blobs.ts'

/** @param makeBlobs an empty store, gone after the test */
export function blobsContract(name: string, makeBlobs: (t: TestContext) => Promise<Blobs> | Blobs): void {
  void suite(`${name} as a store of blobs`, () => {
    test('what was put is read back the same, whole and by range', async (t) => {
      const blobs = await makeBlobs(t)
      const bytes = sample(300_000)
      assert.deepEqual(await blobs.put('a/b', inPieces(bytes, 7_000)), { size: bytes.length })
      assert.equal(await blobs.size('a/b'), bytes.length)
      assert.deepEqual(await whole(blobs.read('a/b')), bytes)
      assert.deepEqual(await whole(blobs.read('a/b', { offset: 65_530, length: 20 })), bytes.subarray(65_530, 65_550))
      assert.deepEqual(await whole(blobs.read('a/b', { offset: 299_990 })), bytes.subarray(299_990))
      assert.deepEqual(await whole(blobs.read('a/b', { offset: 299_990, length: 100 })), bytes.subarray(299_990))
      assert.equal((await whole(blobs.read('a/b', { offset: 400_000 }))).length, 0)
      assert.equal((await whole(blobs.read('a/b', { offset: 5, length: 0 }))).length, 0)
    })

    test('an empty blob is a blob', async (t) => {
      const blobs = await makeBlobs(t)
      await blobs.put('empty', inPieces(Buffer.alloc(0), 1))
      assert.equal(await blobs.size('empty'), 0)
      assert.equal((await whole(blobs.read('empty'))).length, 0)
    })

    test('an existing key is never replaced, also not by two at once', async (t) => {
      const blobs = await makeBlobs(t)
      await blobs.put('key', text('first'))
      await assert.rejects(blobs.put('key', text('second')), BlobExists)
      assert.equal(String(await whole(blobs.read('key'))), 'first')
      const both = await Promise.allSettled([blobs.put('race', text('one')), blobs.put('race', text('two'))])
      assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    })

    test('a body that fails leaves nothing', async (t) => {
      const blobs = await makeBlobs(t)
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('half')
        throw new Error('the client went away')
      }
      await assert.rejects(blobs.put('key', broken()), /the client went away/)
      await assert.rejects(blobs.size('key'), NoSuchBlob)
      await blobs.put('key', text('whole'))
    })

    test('a body above its limit is refused and leaves nothing', async (t) => {
      const blobs = await makeBlobs(t)
      await assert.rejects(blobs.put('key', inPieces(sample(101), 10), { maxBytes: 100 }), BlobTooLarge)
      await assert.rejects(blobs.size('key'), NoSuchBlob)
      await blobs.put('key', inPieces(sample(100), 10), { maxBytes: 100 })
    })

    test('what is not there is NoSuchBlob', async (t) => {
      const blobs = await makeBlobs(t)
      await assert.rejects(blobs.size('nothing'), NoSuchBlob)
      await assert.rejects(whole(blobs.read('no/thing')), NoSuchBlob)
      await assert.rejects(blobs.link('nothing', 'else'), NoSuchBlob)
      await blobs.delete('nothing')
    })

    test('a link has the same bytes, outlives the first key, and may be made twice', async (t) => {
      const blobs = await makeBlobs(t)
      await blobs.put('from', text('bytes'), { durable: false })
      await blobs.link('from', 'to/here')
      await blobs.link('from', 'to/here')
      await blobs.delete('from')
      await blobs.delete('from')
      await assert.rejects(blobs.size('from'), NoSuchBlob)
      assert.equal(String(await whole(blobs.read('to/here'))), 'bytes')
    })

    test('a link does not replace other bytes', async (t) => {
      const blobs = await makeBlobs(t)
      await blobs.put('from', text('one'))
      await blobs.put('to', text('two'))
      await assert.rejects(blobs.link('from', 'to'), BlobExists)
      assert.equal(String(await whole(blobs.read('to'))), 'two')
    })

    test('a reader that has begun finishes although the blob is deleted', async (t) => {
      const blobs = await makeBlobs(t)
      const bytes = sample(200_000)
      await blobs.put('key', inPieces(bytes, 50_000))
      const pieces: Uint8Array[] = []
      for await (const piece of blobs.read('key')) {
        if (pieces.length === 0) await blobs.delete('key')
        pieces.push(piece)
      }
      assert.deepEqual(Buffer.concat(pieces), bytes)
    })

    test('a listing has every key below the prefix and no other', async (t) => {
      const blobs = await makeBlobs(t)
      const keys = ['flat', 'flat.2', 'f/a', 'f/a/b', 'f/ab/c', 'fa/x', 'z']
      for (const key of keys) await blobs.put(key, text(key))
      for (const prefix of ['', 'f', 'f/', 'f/a', 'f/a/', 'fl', 'none', 'no/ne']) {
        const listed = await keysOf(blobs, prefix)
        assert.deepEqual(listed, keys.filter((key) => key.startsWith(prefix)).sort(), prefix)
      }
      for await (const { key, size, modifiedAt } of blobs.list('')) {
        assert.equal(size, key.length)
        assert.ok(Math.abs(Date.now() - modifiedAt.getTime()) < 60_000)
      }
    })

    test('a key that is none is refused before anything is touched', async (t) => {
      const blobs = await makeBlobs(t)
      for (const key of ['', '/a', 'a/', 'a//b', '..', 'a/../b', './a', 'a b', 'a~', 'ü', 'a\0', 'x'.repeat(2000)]) {
        await assert.rejects(blobs.put(key, text('x')), InvalidBlobKey, key)
        await assert.rejects(async () => await blobs.size(key), InvalidBlobKey, key)
      }
      assert.deepEqual(await keysOf(blobs, ''), [])
    })
  })
}

async function keysOf(blobs: Blobs, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of blobs.list(prefix)) keys.push(key)
  return keys.sort()
}

async function whole(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces))
}

const text = (content: string): AsyncIterable<Uint8Array> => inPieces(Buffer.from(content), 3)

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Octets in which no piece looks like another. */
function sample(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8)) & 0xff
  return bytes
}
