/** A bus inside one process, for tests: contracts are checked on both sides, as on the real one. It can be switched off. */
import { BusUnavailable, RequestRefused, type Bus, type Row } from '@postbus/bus'
import type { HintContract, RequestContract, RowsContract } from '@postbus/contracts'
import type { z } from 'zod'

type Parts = Pick<Bus, 'request' | 'rows' | 'answer' | 'answerRows' | 'hint' | 'listen' | 'onReconnect'>

export class MemoryBus implements Parts {
  /** Nobody answers, and hints are lost. */
  down = false
  /** How often each contract was asked. */
  readonly asked = new Map<string, number>()
  readonly #answers = new Map<string, (input: unknown) => Promise<unknown>>()
  readonly #rows = new Map<string, (input: unknown) => AsyncIterable<Row<unknown>>>()
  readonly #listeners = new Map<string, Set<(value: unknown) => void>>()
  readonly #reconnects = new Set<() => void>()

  async request<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    input: z.input<I>,
  ): Promise<z.output<O>> {
    const answer = this.#answers.get(contract.name)
    this.asked.set(contract.name, (this.asked.get(contract.name) ?? 0) + 1)
    if (this.down || !answer) throw new BusUnavailable(`${contract.name}: nobody answers`)
    return contract.output.parse(await refusalsOf(contract, () => answer(contract.input.parse(input))))
  }

  async *rows<I extends z.ZodType, R extends z.ZodType>(
    contract: RowsContract<I, R>,
    input: z.input<I>,
  ): AsyncIterable<Required<Row<z.output<R>>>> {
    const answer = this.#rows.get(contract.name)
    if (this.down || !answer) throw new BusUnavailable(`${contract.name}: nobody answers`)
    const rows = answer(contract.input.parse(input))[Symbol.asyncIterator]()
    for (;;) {
      const next = await refusalsOf(contract, () => rows.next())
      if (next.done) return
      if (this.down) throw new BusUnavailable(`${contract.name}: the connection broke`)
      yield { row: contract.row.parse(next.value.row), bytes: next.value.bytes ?? [] }
    }
  }

  async answer<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    handler: (input: z.output<I>, context: never) => Promise<z.input<NoInfer<O>>>,
  ) {
    this.#answers.set(contract.name, (input) => handler(contract.input.parse(input), undefined as never))
    return { stop: async () => void this.#answers.delete(contract.name) }
  }

  async answerRows<I extends z.ZodType, R extends z.ZodType>(
    contract: RowsContract<I, R>,
    handler: (input: z.output<I>, context: never) => AsyncIterable<Row<z.input<NoInfer<R>>>>,
  ) {
    this.#rows.set(contract.name, (input) => handler(contract.input.parse(input), undefined as never))
    return { stop: async () => void this.#rows.delete(contract.name) }
  }

  hint<S extends z.ZodType>(contract: HintContract<S>, value: z.input<S>): void {
    if (this.down) return
    const parsed = contract.schema.parse(value)
    for (const listener of this.#listeners.get(contract.subject(parsed)) ?? []) setImmediate(() => listener(parsed))
  }

  listen<S extends z.ZodType>(
    contract: HintContract<S>,
    handler: (value: z.output<S>) => void,
    tokens: Record<string, string> = {},
  ) {
    const subject = contract.pattern.replace(/\{(\w+)\}/g, (_, name: string) => tokens[name] ?? '*')
    const listener = (value: unknown): void => handler(contract.schema.parse(value))
    const listeners = this.#listeners.get(subject) ?? new Set()
    this.#listeners.set(subject, listeners.add(listener))
    return { stop: async () => void listeners.delete(listener) }
  }

  onReconnect(callback: () => void) {
    this.#reconnects.add(callback)
    return { stop: async () => void this.#reconnects.delete(callback) }
  }

  reconnect(): void {
    this.down = false
    for (const callback of this.#reconnects) callback()
  }

  /** How many subscriptions there are to a subject. */
  listening(subject: string): number {
    return this.#listeners.get(subject)?.size ?? 0
  }
}

async function refusalsOf<Result>(
  { name, refusals }: { name: string; refusals: readonly string[] },
  work: () => Promise<Result>,
) {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof RequestRefused && refusals.includes(cause.code)) throw cause
    throw new BusUnavailable(`${name}: the answerer failed`, { cause })
  }
}
