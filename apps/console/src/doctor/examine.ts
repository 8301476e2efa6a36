/** Runs checks one after the other; one that fails to look is a finding of its own and stops no other. */
import { type Finding, unknown } from './finding.ts'

export interface Check {
  /** What is looked at. */
  name: string
  /** It may take long: a person who waits is told. */
  slow?: boolean
  look(): Promise<Finding[]> | Finding[]
}

export async function examine(checks: readonly Check[], progress: (name: string) => void): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name, slow, look } of checks) {
    if (slow) progress(name)
    try {
      findings.push(...(await look()))
    } catch (cause) {
      findings.push(unknown(name, `could not be looked at: ${cause instanceof Error ? cause.message : String(cause)}`))
    }
  }
  return findings
}
