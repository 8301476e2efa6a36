/** Gathers what the hosts of a site showed in one attempt: one that answers is enough for the site to be well. */
import type { SiteNews, Trouble } from '../lanes/site-news.ts'
import type { Verdict } from './classify.ts'

export class SiteReport {
  #answered = false
  #trouble: Trouble | null = null
  #busy: string | null = null

  /** It was spoken to, whatever it said. */
  answered(): void {
    this.#answered = true
  }

  /** @param site what a verdict says of it; undefined: nothing against it */
  heard(site: Verdict['site'], { status, reason }: { status: string; reason: string }): void {
    if (site === 'busy') this.#busy = reason
    else if (site === 'trouble' && isTemporary(status)) this.#trouble = { kind: 'trouble', status, reason }
    else this.#answered = true
  }

  get news(): SiteNews {
    if (this.#busy !== null) return { kind: 'busy', reason: this.#busy }
    return this.#answered || this.#trouble === null ? { kind: 'well' } : this.#trouble
  }
}

const isTemporary = (status: string): status is Trouble['status'] => status.startsWith('4.')
