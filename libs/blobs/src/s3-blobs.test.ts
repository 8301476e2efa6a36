import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'

import { S3Refused, S3Unavailable, type S3Options } from '@postbus/s3'
import { startS3, startS3Proxy, type S3ProxyOptions, type S3Proxy } from '@postbus/testkit'

import { blobsContract } from './blobs.contract.ts'
import { BlobExists, NoSuchBlob } from './blobs.ts'
import { s3Blobs } from './s3-blobs.ts'

const server = await startS3({ after })
let stores = 0

interface Store {
  proxy: S3Proxy
  location: string
  options: S3Options
}

/** A prefix of its own. */
async function store(t: TestContext, options: S3ProxyOptions = {}): Promise<Store> {
  const proxy = await startS3Proxy(t, server, options)
  return {
    proxy,
    location: `s3://${server.bucket}/store-${stores++}`,
    options: {
      ...{ endpoint: proxy.endpoint, accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
      ...{
        region: 'us-east-1',
        bucketIn: 'path',
        partBytes: 200_000,
        connections: 16,
        tryMs: 20_000,
        deadlineMs: 60_000,
      },
    },
  }
}

function open(t: TestContext, { location, options }: Store, changed: Partial<S3Options> = {}) {
  const blobs = s3Blobs(location, { ...options, ...changed })
  t.after(() => blobs.close())
  return blobs
}

blobsContract('S3', async (t) => open(t, await store(t)))

async function* octets(size: number, fill = 7): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; left -= 100_000) yield Buffer.alloc(Math.min(left, 100_000), fill)
}

const whole = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await Array.fromAsync(pieces))

/** Three parts. */
const LARGE = 500_005

test('a large blob goes in parts, is read back the same, linked without coming by, and never replaced', async (t) => {
  const here = await store(t)
  const blobs = open(t, here)
  assert.deepEqual(await blobs.put('large', octets(LARGE)), { size: LARGE })
  assert.equal(here.proxy.takeAsked().filter(({ query }) => query.has('partNumber')).length, 3)
  assert.ok((await whole(blobs.read('large'))).equals(Buffer.alloc(LARGE, 7)))
  assert.equal((await whole(blobs.read('large', { offset: LARGE - 10 }))).length, 10)
  here.proxy.takeAsked()
  await blobs.link('large', 'linked')
  assert.deepEqual(new Set(here.proxy.takeAsked().map(({ method }) => method)), new Set(['HEAD', 'PUT']))
  assert.equal(await blobs.size('linked'), LARGE)
  await assert.rejects(blobs.put('large', octets(LARGE, 8)), BlobExists)
  assert.equal((await whole(blobs.read('large', { offset: 0, length: 1 })))[0], 7)
  assert.equal(await blobs.sweep(new Date(Date.now() + 3_600_000)), 0, 'what was refused left nothing')
})

test('a clock that is hours off, and set right again, keeps nobody from the store', async (t) => {
  const { location, options } = await store(t)
  // The proxy would sign anew, with its own time.
  const blobs = s3Blobs(location, { ...options, endpoint: server.endpoint })
  t.after(() => blobs.close())
  const right = Date.now.bind(Date)
  for (const [name, hours] of Object.entries({ fast: 2, slow: -2, right: 0 })) {
    const wrong = t.mock.method(Date, 'now', () => right() + hours * 3_600_000)
    await blobs.put(name, octets(10))
    assert.equal((await whole(blobs.read(name))).length, 10)
    wrong.mock.restore()
  }
  await assert.rejects(
    s3Blobs(location, { ...options, endpoint: server.endpoint, secretAccessKey: 'not it' }).size('fast'),
    S3Refused,
  )
})

test('a large body that fails leaves nothing; what a crash leaves is swept once it is old', async (t) => {
  const here = await store(t)
  const blobs = open(t, here)
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* octets(LARGE)
    throw new Error('the client went away')
  }
  await assert.rejects(blobs.put('key', broken()), /the client went away/)
  await assert.rejects(blobs.size('key'), NoSuchBlob)
  assert.equal(await blobs.sweep(new Date(Date.now() + 3_600_000)), 0)
  here.proxy.fault = ({ method, query }) => (method === 'DELETE' && query.has('uploadId') ? 403 : null)
  await assert.rejects(blobs.put('key', broken()), /the client went away/)
  here.proxy.fault = () => null
  assert.equal(await blobs.sweep(new Date(Date.now() - 3_600_000)), 0)
  assert.equal(await blobs.sweep(new Date(Date.now() + 3_600_000)), 1)
})

test('a server that ignores conditions, or refuses them, has no blob replaced all the same', async (t) => {
  for (const here of [await store(t, { conditionalWrites: false }), await store(t)]) {
    // The server behind the proxy says 501.
    const direct = here.location.endsWith('0') ? {} : { endpoint: server.endpoint }
    const blobs = open(t, here, direct)
    await blobs.put('key', octets(5))
    await assert.rejects(blobs.put('key', octets(6)), BlobExists)
    const both = await Promise.allSettled([blobs.put('race', octets(5)), blobs.put('race', octets(6))])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal(await blobs.size('key'), 5)
    await blobs.put('large', octets(LARGE))
    await assert.rejects(blobs.put('large', octets(LARGE)), BlobExists)
    assert.deepEqual((await Array.fromAsync(blobs.list(''))).map(({ key }) => key).sort(), ['key', 'large', 'race'])
  }
})

test('errors, broken connections and lost answers are made up for: each blob is there once, whole', async (t) => {
  const here = await store(t)
  const blobs = open(t, here)
  await blobs.put('first', octets(1))
  for (const fault of [500, 503, 429, 'cut', 'lost', 'cutAnswer'] as const) {
    for (const size of [4000, LARGE]) {
      const key = `${fault}/${size}`
      // Every request fails once.
      const failed = new Set<string>()
      here.proxy.fault = ({ method, key, query }) => {
        const what = `${method} ${key}?${query}`
        if (failed.has(what)) return null
        failed.add(what)
        return fault
      }
      assert.deepEqual(await blobs.put(key, octets(size)), { size }, key)
      assert.ok((await whole(blobs.read(key))).equals(Buffer.alloc(size, 7)), key)
      const [listed] = (await Array.fromAsync(blobs.list(key))).map((blob) => [blob.key, blob.size])
      assert.deepEqual(listed, [key, size])
    }
  }
})

test('a server that is gone is a temporary error after the deadline, and the store works again when it is back', async (t) => {
  const here = await store(t)
  const blobs = open(t, here, { tryMs: 1000, deadlineMs: 1000 })
  await blobs.put('before', octets(10))
  here.proxy.fault = () => 'stall'
  await assert.rejects(blobs.put('during', octets(10)), S3Unavailable)
  await assert.rejects(whole(blobs.read('before')), S3Unavailable)
  await assert.rejects(Array.fromAsync(blobs.list('')), S3Unavailable)
  here.proxy.fault = () => 503
  await assert.rejects(blobs.size('before'), S3Unavailable)
  here.proxy.fault = () => null
  await blobs.put('after', octets(10))
  assert.equal((await whole(blobs.read('before'))).length, 10)
})

test('a refusal is told at once and not tried again', async (t) => {
  const here = await store(t)
  const blobs = open(t, here, { secretAccessKey: 'wrong', endpoint: server.endpoint })
  await assert.rejects(blobs.put('key', octets(10)), (error) => error instanceof S3Refused && error.status === 403)
  const other = s3Blobs('s3://no-such-bucket', here.options)
  t.after(() => other.close())
  await assert.rejects(other.size('key'), (error) => error instanceof NoSuchBlob || error instanceof S3Refused)
  await assert.rejects(other.put('key', octets(10)), S3Refused)
})

test('bytes of another bucket of the server are adopted without coming by; of another server, or a file, they are not', async (t) => {
  const here = await store(t)
  const blobs = open(t, here)
  const spool = open(t, { ...here, location: `${here.location}-spool` })
  await spool.put('record', octets(1000))
  const place = {
    kind: 's3',
    ...{
      endpoint: here.options.endpoint,
      bucket: server.bucket,
      key: `${here.location.split('/').at(-1)}-spool/record`,
    },
  } as const
  assert.equal(await blobs.adopt('content/1', place), true)
  assert.equal(await blobs.adopt('content/1', place), true)
  assert.equal(await blobs.size('content/1'), 1000)
  await blobs.put('content/2', octets(1000))
  await assert.rejects(blobs.adopt('content/2', place), BlobExists)
  await assert.rejects(blobs.adopt('content/3', { ...place, key: 'nothing' }), NoSuchBlob)
  assert.equal(await blobs.adopt('content/4', { ...place, endpoint: 'https://s3.example.com' }), false)
  assert.equal(await blobs.adopt('content/4', { kind: 'file', path: '/etc/hostname' }), false)
})
