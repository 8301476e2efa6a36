/**
 * Who an address is: many askers share one request, and recent answers are kept for a short while.
 *
 * An answer is forgotten when the directory says that something changed, when the bus was away (the hint may be lost), and
 * in any case after its time: a cache must never be the reason that mail is refused for long.
 */
import { BatchFull, gather } from '@postbus/batch'
import { type Bus, BusUnavailable, DependencyUnavailable } from '@postbus/bus'
import { DirectoryChanged, type Resolution, resolveAddresses } from '@postbus/contracts'
import { batched } from '@postbus/tracing'

/** As many as `directory.resolve` takes. */
const ADDRESSES_PER_REQUEST = 100
/** Addresses waiting to be asked about, over all messages in hand. */
const MAX_WAITING = 200_000

export interface ResolverOptions {
  cacheEntries: number
  cacheMs: number
  now(): number
}

export interface Resolver {
  /** One step of resolution for each address, in order. @throws DependencyUnavailable */
  resolve(addresses: readonly string[]): Promise<Resolution[]>
  close(): Promise<void>
}

export function resolverOver(
  bus: Pick<Bus, 'request' | 'listen' | 'onReconnect'>,
  { cacheEntries, cacheMs, now }: ResolverOptions,
): Resolver {
  const known = new Map<string, { resolution: Resolution; until: number }>()
  /** Grows whenever answers are forgotten; one that was asked for before must not be kept. */
  let generation = 0
  const forget = (): void => {
    generation++
    known.clear()
  }
  const hints = [bus.listen(DirectoryChanged, forget), bus.onReconnect(forget)]

  const asking = gather<string, Resolution>(
    async (addresses) => {
      const asked = generation
      const distinct = [...new Set(addresses)]
      const { resolutions } = await bus.request(resolveAddresses, { addresses: distinct })
      const answers = new Map<string, Resolution>()
      for (const [index, address] of distinct.entries()) {
        const resolution = resolutions[index]
        if (resolution === undefined) throw new Error('directory.resolve left an address out')
        answers.set(address, resolution)
        if (asked === generation) keep(address, resolution)
      }
      return addresses.map((address) => answers.get(address) ?? missing(address))
    },
    { maxItems: ADDRESSES_PER_REQUEST, maxWaiting: MAX_WAITING, origin: batched('resolve addresses') },
  )

  function keep(address: string, resolution: Resolution): void {
    known.delete(address)
    known.set(address, { resolution, until: now() + cacheMs })
    if (known.size <= cacheEntries) return
    const [oldest] = known.keys()
    if (oldest !== undefined) known.delete(oldest)
  }

  function recall(address: string): Resolution | undefined {
    const entry = known.get(address)
    return entry && entry.until > now() ? entry.resolution : undefined
  }

  return {
    async resolve(addresses) {
      try {
        return await Promise.all(addresses.map(async (address) => recall(address) ?? (await asking.add(address))))
      } catch (cause) {
        // Never a 5yz: an unanswered question says nothing about the address.
        if (cause instanceof BusUnavailable || cause instanceof BatchFull) {
          throw new DependencyUnavailable('the directory does not answer', { cause })
        }
        throw cause
      }
    },
    async close() {
      await Promise.all(hints.map((hint) => hint.stop()))
      await asking.idle()
    },
  }
}

function missing(address: string): never {
  throw new Error(`no answer about an address of ${address.length} characters`)
}
