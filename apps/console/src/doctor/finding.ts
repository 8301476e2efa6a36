/** What one check found, and what to do about it. */

/** `unknown`: it could not be looked at; neither well nor ill. */
export type Level = 'ok' | 'unknown' | 'warning' | 'error'

export interface Finding {
  check: string
  level: Level
  found: string
  /** What an operator does now. */
  todo?: string
}

export const ok = (check: string, found: string): Finding => ({ check, level: 'ok', found })
export const unknown = (check: string, found: string, todo?: string): Finding => ({
  ...{ check, level: 'unknown', found },
  ...(todo !== undefined && { todo }),
})
export const warning = (check: string, found: string, todo: string): Finding => ({
  check,
  level: 'warning',
  found,
  todo,
})
export const error = (check: string, found: string, todo: string): Finding => ({ check, level: 'error', found, todo })

/** 0: well; 1: something should be looked at; 2: something is broken, or will be soon. */
export function exitStatus(findings: readonly Finding[]): 0 | 1 | 2 {
  const has = (level: Level): boolean => findings.some((finding) => finding.level === level)
  return has('error') ? 2 : has('warning') ? 1 : 0
}

const MAX_NAMED = 5

/** `a, b, c and 4 more` */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).join(', ')
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown
}

export const percent = (part: number, whole: number): number => Math.round((100 * part) / Math.max(whole, 1))
