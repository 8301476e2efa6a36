/** What several suites printed, mixed line by line as Nx passes it on, read for its counts and for what failed. */

/** @returns the sum over all runs of one of the counts that node:test closes a run with: `pass`, `fail`, `cancelled` … */
export function countOf(word: string, output: string): number {
  const counts = output.matchAll(new RegExp(`^.*ℹ ${word} (\\d+)$`, 'gm'))
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

/** @returns the lines in which node:test says at the end of a run what failed and why, of one suite after the other */
export function failuresIn(output: string): string[] {
  const lines = output.split('\n')
  return lines.flatMap((line, index) => {
    const [heading, suite = ''] = /^(\S+: )?✖ failing tests:$/.exec(line) ?? []
    if (heading === undefined) return []
    const rest = lines.slice(index + 1)
    // A suite that Nx runs alone has no name in front of its lines; Nx' own words follow it.
    if (suite === '') return [heading, ...until(rest, (later) => later.startsWith(' NX'))]
    return [
      heading,
      ...until(
        rest.filter((later) => later.startsWith(suite)),
        (later) => later === heading,
      ),
    ]
  })
}

const until = (lines: string[], isEnd: (line: string) => boolean): string[] => {
  const end = lines.findIndex(isEnd)
  return end === -1 ? lines : lines.slice(0, end)
}
