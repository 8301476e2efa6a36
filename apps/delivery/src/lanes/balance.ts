/**
 * Which replica should own which lane: the same for everybody who sees the same replicas, even, and with few lanes that move when
 * one comes or goes. Rendezvous hashing; a replica that has its share takes no more.
 */
import { createHash } from 'node:crypto'

/** @returns the replica of every lane; empty without replicas */
export function balance(lanes: readonly string[], replicas: readonly string[]): Map<string, string> {
  const share = Math.ceil(lanes.length / replicas.length)
  const loads = new Map(replicas.map((replica) => [replica, 0]))
  const owners = new Map<string, string>()
  for (const lane of lanes) {
    const [owner] = [...loads]
      .filter(([, load]) => load < share)
      .map(([replica]) => ({ replica, score: score(lane, replica) }))
      .sort((a, b) => (a.score < b.score ? 1 : -1))
    if (owner === undefined) break
    owners.set(lane, owner.replica)
    loads.set(owner.replica, (loads.get(owner.replica) ?? 0) + 1)
  }
  return owners
}

const score = (lane: string, replica: string): string => createHash('sha256').update(`${lane} ${replica}`).digest('hex')
