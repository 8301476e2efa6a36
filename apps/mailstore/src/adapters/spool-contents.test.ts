import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { bytesSettingsIn, openBlobs } from '@postbus/blobs'
import { MailAccepted, QueueId } from '@postbus/contracts'
import { openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { startPostgres, startS3 } from '@postbus/testkit'

import { spoolContents } from './spool-contents.ts'

const queueId = QueueId.parse('01JDDD0000000000000000000A')
const message = Buffer.from(`Subject: large\r\n\r\n${'octets and more octets\r\n'.repeat(50_000)}`)

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-contents-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** @returns how many octets came by on the way from the spool to the blobs, apart from the one reading that every message gets */
async function deliver(
  t: TestContext,
  where: { spool: string; blobs: string },
  env: Record<string, string> = {},
): Promise<number> {
  const settings = bytesSettingsIn(env)
  const writer = await openSpoolWriter(where.spool, { settings, writerName: 'test', minFreeBytes: 0 })
  const reader = await openSpoolReader(where.spool, { settings })
  const blobs = await openBlobs(where.blobs, settings)
  t.after(() => Promise.all([writer.close(), reader.close(), blobs.close()]))
  await writer.put(queueId, once(message), (size) => acceptedAs(size))
  let copied = 0
  const contents = spoolContents(
    reader,
    {
      adopt: (key, place) => blobs.adopt(key, place),
      put: (key, body) =>
        blobs.put(
          key,
          counted(body, (octets) => (copied += octets)),
        ),
      delete: (key) => blobs.delete(key),
    },
    () => {},
  )
  const { content, release } = await contents(queueId)
  assert.ok(content.blob)
  const { key, offset } = content.blob
  assert.equal(content.size, message.length)
  assert.ok(Buffer.concat(await Array.fromAsync(blobs.read(key, { offset }))).equals(message))
  await release('notStored')
  assert.deepEqual(await Array.fromAsync(blobs.list('')), [])
  return copied
}

test('a large message is taken over from a spool that is made of the same as the blobs, and copied from another', async (t) => {
  const [{ url }, s3] = await Promise.all([startPostgres(t), startS3(t)])
  const bucket = `s3://${s3.bucket}`
  const env = {
    ...{ S3_ENDPOINT: s3.endpoint, S3_ACCESS_KEY_ID: s3.accessKeyId, S3_SECRET_ACCESS_KEY: s3.secretAccessKey },
    S3_TRY_MS: '20000',
  }
  const dir = await directory(t)
  assert.equal(await deliver(t, { spool: join(dir, 'spool'), blobs: join(dir, 'blobs') }), 0)
  assert.equal(await deliver(t, { spool: `${bucket}/spool`, blobs: `${bucket}/blobs` }, env), 0)
  assert.equal(await deliver(t, { spool: url, blobs: url }), 0)
  assert.equal(await deliver(t, { spool: join(dir, 'spool-2'), blobs: `${bucket}/blobs-2` }, env), message.length)
})

async function* once(octets: Buffer): AsyncGenerator<Uint8Array> {
  yield octets
}

async function* counted(body: AsyncIterable<Uint8Array>, told: (octets: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    told(piece.length)
    yield piece
  }
}

function acceptedAs(size: number): MailAccepted {
  return MailAccepted.schema.parse({
    ...{ queueId, incarnation: 0, acceptedAt: '2026-11-23T10:00:00Z', origin: 'inbound', size },
    ...{ smtputf8: false, requireTls: false },
    envelope: { reversePath: 'a@example.com', recipients: [{ forwardPath: 'b@example.org' }] },
  })
}
