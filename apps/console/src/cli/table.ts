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

export const bytes = (count: number | null): string | null => {
  if (count === null) return null
  const power = Math.min(4, Math.floor(Math.log2(Math.max(count, 1)) / 10))
  return `${Number((count / 1024 ** power).toFixed(1))} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`
}
