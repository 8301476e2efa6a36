import { laneOf } from '@postbus/contracts'

/** Domains whose outgoing mail is in one lane. */
export function sitesOfOneLane(count: number): string[] {
  const names = ['site0.test']
  for (let number = 1; names.length < count; number++) {
    if (laneOf(`site${number}.test`) === laneOf('site0.test')) names.push(`site${number}.test`)
  }
  return names
}
