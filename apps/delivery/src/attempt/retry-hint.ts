/** What a peer says about when to come again: `in 240 seconds`, `after 2 minutes`, `in 00:09:00`. Words only, no promise. */
const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 }
const BEFORE = String.raw`\b(?:in|after|for|within|wait|another|of)\s+(?:about\s+|at least\s+)?`
const CLOCK = new RegExp(String.raw`${BEFORE}(?:(\d{1,2}):)?(\d{1,2}):(\d{2})\b`, 'i')
const AMOUNT = new RegExp(String.raw`${BEFORE}(\d{1,6})\s*(s|m|h)(?:ec|econd|in|inute|our)?s?\b`, 'i')

/** @returns milliseconds; null when it says nothing of the kind. */
export function retryHint(line: string): number | null {
  const [clock, hours, minutes, seconds] = CLOCK.exec(line) ?? []
  if (clock !== undefined) return (Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000 || null
  const [, amount, unit] = AMOUNT.exec(line) ?? []
  return Number(amount ?? 0) * (UNIT_MS[unit?.toLowerCase() ?? ''] ?? 0) || null
}
