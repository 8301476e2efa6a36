/**
 * Leases in a bucket on the bus: at most one holder of a name at a time, apart from one that was paused.
 *
 * No clocks are compared. Whoever wants a lease watches its entry: unchanged for the whole time-to-live, by the watcher's own
 * monotonic clock, its holder is gone and a compare-and-set takes it over. The holder renews at thirds and gives up by its own
 * clock, counted from before the last renewal that was confirmed, so it stops before any watcher can begin.
 *
 * The bucket is in memory on the bus: it may vanish with its server, and a cluster that was down as a whole has it again, empty and
 * under the same date. A holder renews at every reconnect, so it learns at once that its entry is gone, and has then lost the lease.
 *
 * The numbers of such a bucket count from its beginning again, so another's entry may come to have the number of the holder's last. A
 * holder therefore asks since when the bucket is whole before each renewal: that date is in every bucket somebody took a lease in.
 *
 * In a cluster any copy of the bucket answers a look, and may be behind. A look therefore never decides that a lease is ours: only a
 * compare-and-set does, which the bucket's leader judges.
 *
 * The revision is what writes are fenced by. It must grow even when the bucket lost what it had and counts from its beginning again,
 * so an entry of its own, made by whoever finds none, says since when its content is whole: by the bus' clock, in milliseconds, times
 * 1024, plus the entry's number in the bucket. It stays a safe integer until the year 2110, and grows as long as the bucket takes
 * fewer than a million writes a second.
 */
import { randomUUID } from 'node:crypto'

import { jetstream, JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream'
import { Kvm, type KV, type KvEntry } from '@nats-io/kv'
import { LEASE_BUCKET } from '@postbus/contracts'
import type { Logger } from 'pino'

import { BusUnavailable, type Lease, type Stoppable } from './bus.ts'
import type { Connection } from './connection.ts'
import { sleep } from './pause.ts'

const WRITES_PER_MS = 1024
const RENEWALS_PER_TTL = 3
/** How often somebody who waits for a lease looks. */
const LOOK_MS = { min: 100, max: 1_000 }
const FREE = 'free'
const MARKER = 'whole-since'

export interface LeaseOptions {
  connection: Connection
  log: Logger
  name: string
  ttlMs: number
  /** A free lease is left to others for so long. */
  patienceMs?: number | undefined
  signal: AbortSignal
}

export async function acquireLease({ patienceMs = 0, ...options }: LeaseOptions): Promise<Lease> {
  const { connection, log, name, ttlMs, signal } = options
  const key = `${connection.party}.${name}`
  const holder = randomUUID()
  const lookMs = Math.min(LOOK_MS.max, Math.max(LOOK_MS.min, ttlMs / 10))
  /** Revision 0: no entry. */
  let seen: { revision: number; since: number } | undefined
  for (;;) {
    signal.throwIfAborted()
    try {
      const bucket = await openBucket(options)
      const entry = await bucket.get(key)
      const revision = entry?.revision ?? 0
      if (seen?.revision !== revision) seen = { revision, since: performance.now() }
      if (performance.now() - seen.since >= patienceMs + (isFree(entry) ? 0 : ttlMs)) {
        const whole = await wholeSince(bucket, connection.party)
        const asked = performance.now()
        const taken = await take(bucket, key, holder, entry)
        if (taken !== undefined) {
          const held = new Held({ ...options, bucket, key, holder, whole, entryRevision: taken, asked })
          log.info({ lease: name, revision: held.revision }, 'took a lease')
          return held
        }
      }
    } catch (err) {
      log.debug({ err, lease: name }, 'cannot look for a lease')
    }
    await sleep(lookMs * (0.8 + Math.random() * 0.4), signal)
  }
}

/** Opened each time anew, which asks nothing of the server: the bucket may have been made again meanwhile. */
const openBucket = ({ connection, ttlMs }: LeaseOptions): Promise<KV> =>
  new Kvm(jetstream(connection.nats, { timeout: ttlMs / RENEWALS_PER_TTL })).open(LEASE_BUCKET, {
    allow_direct: true,
    bindOnly: true,
  })

const isFree = (entry: KvEntry | null): boolean =>
  entry === null || entry.operation !== 'PUT' || entry.string() === FREE

/** @returns the entry's revision, or undefined when another was faster */
async function take(bucket: KV, key: string, holder: string, entry: KvEntry | null): Promise<number | undefined> {
  try {
    return entry ? await bucket.update(key, holder, entry.revision) : await bucket.create(key, holder)
  } catch (error) {
    if (isWrongRevision(error)) return undefined
    throw error
  }
}

const isWrongRevision = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
    error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)

/** @returns when this party's marker was stored (ms), made if it is not there: nothing in the bucket was lost since */
async function wholeSince(bucket: KV, party: string): Promise<number> {
  const found = await markedAt(bucket, party)
  if (found !== undefined) return found
  // Another may have made it meanwhile, or the copy that was asked is behind: the next look tells.
  await bucket.create(markerOf(party), '')
  const made = await markedAt(bucket, party)
  if (made === undefined) throw new BusUnavailable('the lease bucket does not say since when it is whole')
  return made
}

const markerOf = (party: string): string => `${party}.${MARKER}`

async function markedAt(bucket: KV, party: string): Promise<number | undefined> {
  const marker = await bucket.get(markerOf(party))
  return marker?.operation === 'PUT' ? marker.created.getTime() : undefined
}

/** Numbers of entries are others' in it. */
class MadeAnew extends Error {
  override readonly message = 'its bucket was made anew'
}

interface HeldOptions extends LeaseOptions {
  bucket: KV
  key: string
  holder: string
  /** Since when the bucket it was taken in is whole (ms). */
  whole: number
  entryRevision: number
  /** When taking it was asked for: its time runs from there. */
  asked: number
}

class Held implements Lease {
  readonly revision: number
  readonly #options: HeldOptions
  readonly #lost = new AbortController()
  readonly #renewals: NodeJS.Timeout
  readonly #reconnect: Stoppable
  #end: NodeJS.Timeout
  #entryRevision: number
  #renewing: Promise<void> | undefined
  #over = false

  constructor(options: HeldOptions) {
    this.#options = options
    this.revision = options.whole * WRITES_PER_MS + options.entryRevision
    this.#entryRevision = options.entryRevision
    this.#end = this.#endAt(options.asked)
    this.#renewals = setInterval(() => void this.#renew(), options.ttlMs / RENEWALS_PER_TTL)
    this.#reconnect = options.connection.onReconnect(() => void this.#renew())
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async release(): Promise<void> {
    if (this.#over) return
    this.#finish()
    await this.#renewing
    const { name, log } = this.#options
    try {
      await this.#update(FREE)
      log.info({ lease: name }, 'released a lease')
    } catch (err) {
      log.debug({ err, lease: name }, 'a lease could not be released, it runs out by itself')
    }
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async #renewOnce(): Promise<void> {
    const sent = performance.now()
    try {
      await this.#update(this.#options.holder)
      this.#confirmed(sent)
    } catch (error) {
      // Not confirmed is not lost: time decides. Another's entry, or none, is.
      if (error instanceof MadeAnew) this.#lose(error.message)
      else if (isWrongRevision(error)) await this.#lookAgain()
    }
  }

  async #update(value: string): Promise<void> {
    const { bucket, key, whole, connection } = this.#options
    const marked = await markedAt(bucket, connection.party)
    // Where nobody set the mark nobody took a lease either, or the copy that was asked is behind: the update tells.
    if (marked !== undefined && marked !== whole) throw new MadeAnew()
    this.#entryRevision = await bucket.update(key, value, this.#entryRevision)
  }

  /** A renewal whose confirmation got lost left our own value under a newer revision. What was seen, the next renewal has to confirm. */
  async #lookAgain(): Promise<void> {
    const { bucket, key, holder } = this.#options
    try {
      const entry = await bucket.get(key)
      if (entry?.operation !== 'PUT' || entry.string() !== holder)
        return this.#lose('somebody else holds it, or its bucket was made anew')
      if (entry.revision <= this.#entryRevision) return // A copy that is behind; time decides.
      this.#entryRevision = entry.revision
      await this.#renewOnce()
    } catch {
      // Not known; time decides.
    }
  }

  #confirmed(sent: number): void {
    clearTimeout(this.#end)
    if (!this.#over) this.#end = this.#endAt(sent)
  }

  #endAt(from: number): NodeJS.Timeout {
    const leftMs = from + this.#options.ttlMs - performance.now()
    return setTimeout(() => this.#lose('not confirmed in time'), Math.max(0, leftMs))
  }

  #lose(why: string): void {
    if (this.#over) return
    this.#finish()
    const { name, log } = this.#options
    log.warn({ lease: name, why }, 'lost a lease')
    this.#lost.abort(new BusUnavailable(`lost the lease ${name}: ${why}`))
  }

  #finish(): void {
    this.#over = true
    clearTimeout(this.#end)
    clearInterval(this.#renewals)
    void this.#reconnect.stop()
  }
}
