/**
 * What is said to a peer as steps of the trace, one after the other: each lasts until the next begins. Commands that are sent together
 * (RFC 2920) are one step, since nobody can say which of them the peer took its time for.
 */
import { childStep, type Scope, type Step, scopeNow } from '@postbus/tracing'

export class DialogueSteps {
  readonly #scope: Scope | undefined = scopeNow()
  readonly #together: ReadonlySet<string>
  #step: Step | undefined
  #name: string | undefined

  /** @param together verbs that are sent at once */
  constructor(together: readonly string[] = []) {
    this.#together = new Set(together)
  }

  /** @param verb the command that has been sent, or what else is being done now */
  begin(verb: string): void {
    if (!this.#scope?.recording) return
    const name = this.#together.has(verb) ? [...this.#together].join(' ') : verb
    if (name === this.#name) return
    this.#step?.end()
    this.#name = name
    this.#step = childStep(`SMTP ${name}`, {}, this.#scope)
  }

  end(failed?: string): void {
    if (failed !== undefined) this.#step?.failed(failed)
    this.#step?.end()
    this.#step = undefined
    this.#name = undefined
  }
}
