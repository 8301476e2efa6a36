/**
 * The account a session acts for: asks the mailstore with its token and keeps that token fresh.
 *
 * What cannot be answered now is NO [UNAVAILABLE], never a wrong OK. A token that is not renewed because the account was
 * disabled or its password changed ends the session.
 */
import { BusUnavailable, RequestRefused, type Bus, type Row } from '@postbus/bus'
import { renewToken, type RequestContract, type RowsContract } from '@postbus/contracts'
import type { Granted } from '@postbus/directory-client'
import type { z } from 'zod'

import { SessionEnded, unavailable } from '../reply.ts'

export interface AccountPorts {
  bus: Pick<Bus, 'request' | 'rows'>
  /** Aborted when the client is gone. */
  gone: AbortSignal
  /** The directory refused a fresh token. */
  onRefused(): void
}

/** The part of a token's life after which it is renewed, so that a directory away for a moment costs no session. */
const RENEW_AFTER = 0.6
const RENEW_SPREAD = 0.1
const RENEW_AGAIN_MS = 15_000

export class Account {
  readonly id: string
  readonly address: string
  readonly #ports: AccountPorts
  #token: string
  #timer: NodeJS.Timeout | undefined
  #renewal: Promise<void> | undefined
  #closed = false

  constructor({ account, address, token, tokenExpiresInMs }: Granted, ports: AccountPorts) {
    this.id = account
    this.address = address
    this.#token = token
    this.#ports = ports
    this.#renewIn(tokenExpiresInMs)
  }

  /** @throws RequestRefused with a code of the contract; ImapError when there is no answer */
  async ask<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    input: (token: string) => z.input<I>,
  ): Promise<z.output<O>> {
    const { bus } = this.#ports
    try {
      return await this.#withToken(() => bus.request(contract, input(this.#token)))
    } catch (cause) {
      throw explained(cause)
    }
  }

  /** Throws as `ask` does. Stops when the client is gone. */
  async *rows<I extends z.ZodType, R extends z.ZodType>(
    contract: RowsContract<I, R>,
    input: (token: string) => z.input<I>,
  ): AsyncGenerator<Required<Row<z.output<R>>>, void, undefined> {
    const { bus, gone } = this.#ports
    try {
      const rows = await this.#withToken(async () => {
        const iterator = bus.rows(contract, input(this.#token), { signal: gone })[Symbol.asyncIterator]()
        return { iterator, first: await iterator.next() }
      })
      try {
        for (let row = rows.first; !row.done; row = await rows.iterator.next()) yield row.value
      } finally {
        await rows.iterator.return?.()
      }
    } catch (cause) {
      throw explained(cause)
    }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** A token may have expired while the directory was away: once more with a new one. */
  async #withToken<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (cause) {
      if (!(cause instanceof RequestRefused) || cause.code !== 'tokenInvalid') throw cause
    }
    await this.#renew()
    return work()
  }

  async #renew(): Promise<void> {
    this.#renewal ??= this.#askForToken().finally(() => {
      this.#renewal = undefined
    })
    await this.#renewal
  }

  async #askForToken(): Promise<void> {
    try {
      const { token, tokenExpiresInMs } = await this.#ports.bus.request(renewToken, { token: this.#token })
      this.#token = token
      this.#renewIn(tokenExpiresInMs)
    } catch (cause) {
      if (!(cause instanceof RequestRefused)) throw cause
      this.#ports.onRefused()
      throw new SessionEnded('EXPIRED', 'The session is no longer valid, log in again', { cause })
    }
  }

  #renewIn(expiresInMs: number): void {
    const part = RENEW_AFTER + Math.random() * RENEW_SPREAD
    this.#schedule(Math.max(1000, Math.floor(expiresInMs * part)))
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      // A refusal has been reported; anything else is tried again while the token lasts, and when it is next used.
      this.#renew().catch((cause: unknown) => {
        if (!(cause instanceof SessionEnded)) this.#schedule(RENEW_AGAIN_MS)
      })
    }, delayMs)
    this.#timer.unref()
  }
}

function explained(cause: unknown): unknown {
  return cause instanceof BusUnavailable ? unavailable(cause) : cause
}
