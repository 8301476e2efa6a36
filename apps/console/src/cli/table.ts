/** Columns for people. */
export function table(header: readonly string[], rows: readonly (readonly unknown[])[]): string {
  // A column without a name is a remark: absent, it leaves nothing behind.
  const remark = (column: number, text: string): string => (header[column] === '' && text === '–' ? '' : text)
  const cells = [header, ...rows.map((row) => row.map((value, column) => remark(column, cell(value))))]
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  return cells
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** One value per line, its name in front. */
export function facts(values: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(values).map((name) => name.length))
  return Object.entries(values)
    .map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}`)
    .join('\n')
}

function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–'
  if (Array.isArray(value)) return value.map(cell).join(', ')
  // What came over the bus may hold anything; a terminal must not obey it.
  return String(value).replaceAll(/\p{Cc}/gu, '?')
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** `3d04h`, `2h05m`, `7m`, `12s`. */
export function span(ms: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  if (ms < 0) return '0s'
  if (ms < MINUTE_MS) return `${Math.floor(ms / 1000)}s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)}h${two((ms % HOUR_MS) / MINUTE_MS)}m`
  return `${Math.floor(ms / DAY_MS)}d${two((ms % DAY_MS) / HOUR_MS)}h`
}

export const bytes = (count: number | null): string | null => {
  if (count === null) return null
  const power = Math.min(4, Math.floor(Math.log2(Math.max(count, 1)) / 10))
  return `${Number((count / 1024 ** power).toFixed(1))} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`
}
