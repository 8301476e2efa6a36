/**
 * Tasks wait in the scheduler and are attempted in somebody else's turn, several at once: here each keeps its trace meanwhile, and the
 * attempt is a step of the first, linked to the others.
 */
import type { MailOut } from '@postbus/contracts'
import { batched, type Scope } from '@postbus/tracing'

export interface TracedTasks {
  note(task: MailOut): void
  attempt<T>(tasks: readonly MailOut[], work: () => Promise<T>): Promise<T>
}

export function tracedTasks(): TracedTasks {
  const scopes = new WeakMap<MailOut, Scope>()
  const { note, run } = batched('attempt')
  return {
    note(task) {
      const scope = note()
      if (scope) scopes.set(task, scope)
    },
    attempt: (tasks, work) =>
      run(
        tasks.map((task) => scopes.get(task)),
        work,
      ),
  }
}
