/** Work that many pieces share (one flush, one commit): a step of the first that is recorded, linked to all the others. */
import { runIn, type Scope, scopeNow } from './scope.ts'
import { childStep, type StepOptions, tracedIn } from './step.ts'

/** What `gather` of @postbus/batch takes as its `origin`. */
export interface Gathered {
  note(): Scope | undefined
  run<T>(notes: readonly (Scope | undefined)[], flush: () => Promise<T>): Promise<T>
}

/** @param name of the shared step */
export function batched(name: string, options: StepOptions = {}): Gathered {
  return {
    note: scopeNow,
    run(notes, flush) {
      const first = notes.find((scope) => scope?.recording) ?? notes[0]
      if (first === undefined) return flush()
      if (first.recording === null) return runIn(first, flush)
      const others = notes.filter((scope) => scope !== first)
      const attributes = { ...options.attributes, 'messaging.batch.message_count': notes.length }
      return tracedIn(childStep(name, { ...options, attributes, links: others }, first), flush)
    },
  }
}
