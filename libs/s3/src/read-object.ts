/** An object's octets as they come. A connection that breaks is made up for: the next begins where it ended. */
import { setTimeout as sleep } from 'node:timers/promises'

import { S3Unavailable } from './errors.ts'
import { asUnavailable, type Requests } from './requests.ts'

/** Breaks without a single octet between them. */
const MAX_BREAKS = 5
const PAUSE_MS = 100

/** The octets `[offset, offset + length)`, fewer where the object is shorter. @throws NoSuchObject @throws S3Refused @throws S3Unavailable */
export async function* readObject(
  requests: Requests,
  key: string,
  offset: number,
  length: number,
): AsyncGenerator<Buffer> {
  const end = offset + length
  let at = offset
  let etag: string | undefined
  let breaks = 0
  while (at < end) {
    const headers = {
      ...((at > 0 || end !== Infinity) && { range: `bytes=${at}-${end === Infinity ? '' : end - 1}` }),
      ...(etag !== undefined && { 'if-match': etag }),
    }
    // 416: it begins behind the object's end; an empty one has only an end.
    const { status, headers: facts, body } = await requests.open({ method: 'GET', key, headers }, [200, 206, 412, 416])
    if (status === 412) {
      await body.dump()
      throw new S3Unavailable(`${key} was replaced while it was read`)
    }
    if (status === 416) return void (await body.dump())
    if (status === 200 && at > 0) {
      body.destroy()
      throw new S3Unavailable(`${key}: the server knows no ranges`)
    }
    etag = typeof facts['etag'] === 'string' ? facts['etag'] : undefined
    const begun = at
    try {
      for await (const piece of body) {
        const octets: Buffer = piece
        at += octets.length
        yield octets
      }
      return
    } catch (cause) {
      breaks = at > begun ? 1 : breaks + 1
      if (breaks > MAX_BREAKS) throw asUnavailable(cause)
    }
    await sleep(PAUSE_MS * breaks)
  }
}
