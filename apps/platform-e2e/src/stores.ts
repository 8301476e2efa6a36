/** Stores of the world outside: whatever is done to the processes of a platform does not reach them. */
import type { TestContext } from 'node:test'

import { startPostgres, startS3 } from '@postbus/testkit'

import { BYTES, PROFILE } from './platform.ts'

/** @returns arguments of a start that uses them; none where the profile has no such stores */
export async function storesOutside(t: TestContext): Promise<string[]> {
  if (PROFILE === 'embedded') return []
  const { url } = await startPostgres(t)
  const database = ['--postgres', url]
  if (BYTES !== 's3') return database
  const { bucket, endpoint, accessKeyId, secretAccessKey } = await startS3(t)
  const settings = {
    S3_ENDPOINT: endpoint,
    S3_BUCKET_IN: 'path',
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  }
  const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  return [...database, '--bytes', `s3://${bucket}`, ...set]
}
