/** What the directory says of accounts, remembered for a short while. */
import { type Bus, RequestRefused, type Stoppable } from '@postbus/bus'
import { type AccountId, describeAccount, DirectoryChanged } from '@postbus/contracts'

export interface Account {
  address: string
  quotaBytes: number | null
}

export interface Accounts extends Stoppable {
  /** Null only when the directory says so now: that is never remembered. @throws BusUnavailable */
  describe(account: AccountId): Promise<Account | null>
}

const MAX_REMEMBERED = 50_000

export function accountsOf(
  bus: Pick<Bus, 'request' | 'listen' | 'onReconnect'>,
  { maxAgeMs }: { maxAgeMs: number },
): Accounts {
  const remembered = new Map<AccountId, { answer: Promise<Account | null>; until: number }>()
  const forget = () => remembered.clear()
  const hints = bus.listen(DirectoryChanged, forget)
  // The hint may have been sent while we were away.
  const reconnects = bus.onReconnect(forget)

  async function ask(account: AccountId): Promise<Account | null> {
    try {
      const { address, quotaBytes } = await bus.request(describeAccount, { account })
      return { address, quotaBytes }
    } catch (error) {
      if (error instanceof RequestRefused && error.code === 'noSuchAccount') return null
      throw error
    }
  }

  return {
    describe(account) {
      const now = performance.now()
      const known = remembered.get(account)
      if (known !== undefined && known.until > now) return known.answer
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      const entry = { answer: ask(account), until: now + maxAgeMs }
      remembered.set(account, entry)
      const drop = () => {
        if (remembered.get(account) === entry) remembered.delete(account)
      }
      entry.answer.then((answer) => answer ?? drop(), drop)
      return entry.answer
    },
    async stop() {
      await Promise.all([hints.stop(), reconnects.stop()])
    },
  }
}
