/** Those who ask before a run has begun share it; a run under way is too old for them and they share the next. */
export function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let waiting: Promise<T> | undefined
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    waiting ??= last.then(() => {
      waiting = undefined
      const result = run()
      last = result.catch(() => undefined)
      return result
    })
    return waiting
  }
}
