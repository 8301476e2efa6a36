/** Signing keys as a thread knows them: asked of the process, which asks the directory, and remembered for a moment. */
import type { SigningKey } from '@postbus/mail-auth'

/** Most mail has an author's domain like the one before. */
const REMEMBERED_MS = 1000
const MAX_REMEMBERED = 1000

type Keys = readonly SigningKey[]

export interface AskedKeys {
  keysOf(domains: readonly string[]): Promise<Keys>
  generation(): number
  /** @param generation of the keys of the process: what was said of an earlier one is forgotten */
  noteGeneration(generation: number): void
  /** What the process says to question `id`. */
  answered(id: number, keys: Keys | Error): void
}

/** @param ask puts a question to the process, which must be answered */
export function askedKeys(ask: (id: number, domains: readonly string[]) => void): AskedKeys {
  const open = new Map<number, PromiseWithResolvers<Keys>>()
  const remembered = new Map<string, { keys: Promise<Keys>; until: number }>()
  let generation = 0
  let lastId = 0

  return {
    keysOf(domains) {
      const name = domains.join(' ')
      const now = performance.now()
      const known = remembered.get(name)
      if (known && known.until > now) return known.keys
      const question = Promise.withResolvers<Keys>()
      const id = ++lastId
      open.set(id, question)
      ask(id, domains)
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      const entry = { keys: question.promise, until: now + REMEMBERED_MS }
      remembered.set(name, entry)
      question.promise.catch(() => remembered.get(name) === entry && remembered.delete(name))
      return question.promise
    },
    generation: () => generation,
    noteGeneration(current) {
      if (current === generation) return
      generation = current
      remembered.clear()
    },
    answered(id, keys) {
      const question = open.get(id)
      open.delete(id)
      if (keys instanceof Error) question?.reject(keys)
      else question?.resolve(keys)
    },
  }
}
