/**
 * Puts records into a spool until it is killed, and says on stdout which ones are durable, a line each after its put resolved:
 *   node crash-writer.ts <dir> <name>
 */
import { once } from 'node:events'

import { openSpoolWriter } from '../src/index.ts'
import { acceptedAs, bytesOf, contentOf, queueIds } from './samples.ts'

const [dir = '', writerName = 'crash'] = process.argv.slice(2)
const writer = await openSpoolWriter(dir, { writerName, segmentMaxBytes: 1024 * 1024 })
const nextId = queueIds()

async function putForEver(number: number): Promise<never> {
  for (let n = 0; ; n++) {
    const queueId = nextId()
    // One of the twenty streams large messages.
    const size = number === 0 ? 400_000 : 1 + ((number * 7919 + n * 104_729) % 20_000)
    await writer.put(queueId, bytesOf(contentOf(queueId, size)), (octets) => acceptedAs(queueId, octets))
    if (!process.stdout.write(`${queueId} ${size}\n`)) await once(process.stdout, 'drain')
  }
}

await Promise.all(Array.from({ length: 20 }, (_, number) => putForEver(number)))
