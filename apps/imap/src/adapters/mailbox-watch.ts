/**
 * Hints about mailboxes: one subscription per account, however many sessions it has here. Hints may be lost, so after the
 * bus was away every session is told that anything may have happened.
 */
import type { Bus, Stoppable } from '@postbus/bus'
import { MailboxChanged } from '@postbus/contracts'

import type { Watcher } from '../session/session.ts'

/** Sessions that look at once after the bus was away. */
const AT_ONCE = 100

interface Watched {
  watchers: Set<Watcher>
  subscription: Stoppable
}

export class MailboxWatch {
  readonly #bus: Pick<Bus, 'listen' | 'onReconnect'>
  readonly #accounts = new Map<string, Watched>()
  readonly #reconnect: Stoppable

  constructor(bus: Pick<Bus, 'listen' | 'onReconnect'>) {
    this.#bus = bus
    this.#reconnect = bus.onReconnect(() => this.#everybody())
  }

  /** @returns stops watching */
  watch(account: string, watcher: Watcher): () => void {
    const watched = this.#accounts.get(account) ?? this.#listen(account)
    watched.watchers.add(watcher)
    return () => {
      watched.watchers.delete(watcher)
      if (watched.watchers.size > 0 || this.#accounts.get(account) !== watched) return
      this.#accounts.delete(account)
      void watched.subscription.stop()
    }
  }

  async close(): Promise<void> {
    await this.#reconnect.stop()
    await Promise.all([...this.#accounts.values()].map(({ subscription }) => subscription.stop()))
    this.#accounts.clear()
  }

  /** Thousands of sessions must not all look in the same moment: about one in a millisecond. */
  #everybody(): void {
    const watchers = [...this.#accounts.values()].flatMap((watched) => [...watched.watchers])
    for (const [index, watcher] of watchers.entries()) {
      if (index < AT_ONCE) watcher.mayHaveChanged()
      else setTimeout(() => watcher.mayHaveChanged(), index - AT_ONCE).unref()
    }
  }

  #listen(account: string): Watched {
    const watchers = new Set<Watcher>()
    const subscription = this.#bus.listen(
      MailboxChanged,
      ({ mailboxes }) => {
        for (const { mailbox, highestModseq, uidNext } of mailboxes)
          for (const watcher of watchers) watcher.hint(mailbox, highestModseq, uidNext)
      },
      { account },
    )
    const watched = { watchers, subscription }
    this.#accounts.set(account, watched)
    return watched
  }
}
