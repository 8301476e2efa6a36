/**
 * The keys mail is signed with, as the directory knows them: recent answers are kept, and many askers share one request.
 *
 * An answer is asked for again after its time, when the directory says that something changed, and when the bus was away (the
 * hint may be lost). While the directory cannot be asked an older answer does, for a bounded time; without one the mail waits.
 */
import { createPrivateKey } from 'node:crypto'

import { BatchFull, gather } from '@postbus/batch'
import { type Bus, BusUnavailable, DependencyUnavailable } from '@postbus/bus'
import { DirectoryChanged, signingKeys } from '@postbus/contracts'
import type { SigningKey } from '@postbus/mail-auth'
import { batched } from '@postbus/tracing'

/** As many as `directory.signingKeys` takes. */
const DOMAINS_PER_REQUEST = 100
const MAX_WAITING = 20_000
/** A directory that did not answer is left alone for so long where an older answer does. */
const PAUSE_MS = 5000

export interface SigningKeysOptions {
  cacheEntries: number
  /** An answer is good for so long… */
  cacheMs: number
  /** …and for so long, from when it was given, while there is no other. */
  staleMs: number
  now(): number
}

export interface SigningKeys {
  /** @throws DependencyUnavailable */
  keysOf(domains: readonly string[]): Promise<readonly SigningKey[]>
  /** Grows whenever keys may have changed. */
  generation(): number
  close(): Promise<void>
}

interface Entry {
  keys: readonly SigningKey[]
  askedAt: number
  freshUntil: number
}

export function signingKeysOver(
  bus: Pick<Bus, 'request' | 'listen' | 'onReconnect'>,
  { cacheEntries, cacheMs, staleMs, now }: SigningKeysOptions,
): SigningKeys {
  const known = new Map<string, Entry>()
  let generation = 0
  const changed = (): void => {
    generation++
    for (const entry of known.values()) entry.freshUntil = 0
  }
  const hints = [bus.listen(DirectoryChanged, changed), bus.onReconnect(changed)]

  const asking = gather<string, readonly SigningKey[]>(
    async (domains) => {
      const asked = { generation, at: now() }
      const { keys } = await bus.request(signingKeys, { domains: [...new Set(domains)] })
      const byDomain = Map.groupBy(keys, ({ domain }) => domain)
      return domains.map((domain) => {
        const own = (byDomain.get(domain) ?? []).map((key) => ({
          ...key,
          privateKey: createPrivateKey(key.privateKey),
        }))
        // Given before a change that was heard of since: good for this message, and asked for again for the next.
        const freshUntil = asked.generation === generation ? asked.at + cacheMs : 0
        keep(domain, { keys: own, askedAt: asked.at, freshUntil })
        return own
      })
    },
    { maxItems: DOMAINS_PER_REQUEST, maxWaiting: MAX_WAITING, origin: batched('find signing keys') },
  )

  function keep(domain: string, entry: Entry): void {
    known.delete(domain)
    known.set(domain, entry)
    if (known.size <= cacheEntries) return
    const [oldest] = known.keys()
    if (oldest !== undefined) known.delete(oldest)
  }

  async function keysOfOne(domain: string): Promise<readonly SigningKey[]> {
    const entry = known.get(domain)
    if (entry && entry.freshUntil > now()) return entry.keys
    try {
      return await asking.add(domain)
    } catch (cause) {
      if (!(cause instanceof BusUnavailable || cause instanceof BatchFull)) throw cause
      if (entry && entry.askedAt + staleMs > now()) {
        entry.freshUntil = now() + PAUSE_MS
        return entry.keys
      }
      // Never unsigned by accident: the receiver's policy might refuse it for good.
      throw new DependencyUnavailable('the directory does not say what to sign with', { cause })
    }
  }

  return {
    keysOf: async (domains) => (await Promise.all(domains.map(keysOfOne))).flat(),
    generation: () => generation,
    async close() {
      await Promise.all(hints.map((hint) => hint.stop()))
      await asking.idle()
    },
  }
}
