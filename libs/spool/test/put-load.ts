/**
 * Puts records at a fixed concurrency and prints one line about it, for counting system calls:
 *   strace -f -c -e trace=fsync,fdatasync node libs/spool/test/put-load.ts [records] [at once] [octets]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

import { openSpoolWriter } from '../src/index.ts'
import { acceptedAs, bytesOf, queueIds } from './samples.ts'

const [records = 5000, atOnce = 50, octets = 10_240] = process.argv.slice(2).map(Number)
const dir = await mkdtemp(join(tmpdir(), 'postbus-put-load-'))
let flushes = 0
const writer = await openSpoolWriter(dir, { writerName: 'load', onFlush: () => flushes++ })
const nextId = queueIds()
const bytes = Buffer.alloc(octets, 'x')
let left = records
const begun = performance.now()
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (left-- > 0) {
      const queueId = nextId()
      await writer.put(queueId, bytesOf(bytes), (size) => acceptedAs(queueId, size))
    }
  }),
)
const seconds = (performance.now() - begun) / 1000
const cpu = process.cpuUsage()
await writer.close()
await rm(dir, { recursive: true })
process.stdout.write(
  `${records} records of ${octets} octets, ${atOnce} at once: ${Math.round(records / seconds)}/s, ${flushes} flushes, ` +
    `${((cpu.user + cpu.system) / 1000 / records).toFixed(3)} ms of CPU each\n`,
)
