const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DATE = /^(?:[a-z]+\s*,?\s*)?([0-9]{1,2})[\s-]+([a-z]{3})[a-z]*[\s-]+([0-9]{2,})(?![0-9])/i

/**
 * The calendar day a Date field names, as YYYY-MM-DD: what SENTON compares, "disregarding time and timezone"
 * (RFC 9051 §6.4.4). Null when there is none in it.
 */
export function sentDayOf(date: string): string | null {
  const [, day = '', month = '', year = ''] = DATE.exec(date.replaceAll(/\([^()]*\)/g, ' ').trim()) ?? []
  const index = MONTHS.indexOf(month.toLowerCase())
  const fullYear = yearOf(year)
  // Date.UTC accepts the 31st of June and means July: such a day there is not.
  const time = new Date(Date.UTC(fullYear, index, Number(day)))
  if (index < 0 || fullYear > 9999 || time.getUTCMonth() !== index) return null
  return time.toISOString().slice(0, 10)
}

/** RFC 5322 §4.3: two digits mean 1950 to 2049, three are counted from 1900. */
function yearOf(year: string): number {
  const value = Number(year)
  if (year.length === 2) return value + (value < 50 ? 2000 : 1900)
  return year.length === 3 ? value + 1900 : value
}
