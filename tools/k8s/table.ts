/** Every object of an overlay, for people: what it is, its name, and what it comes to. */
import { workloads, type Manifest } from './manifests.ts'

export function table(manifests: readonly Manifest[]): string {
  const facts = new Map(
    workloads(manifests).map(({ kind, name, replicas, pod }) => [
      `${kind}/${name}`,
      `${kind === 'Job' ? '' : `${replicas} × `}${pod.containers.map(({ image }) => image).join(', ')}`,
    ]),
  )
  const rows = manifests
    .map(({ apiVersion, kind, metadata }) => [
      kind,
      metadata.name,
      apiVersion,
      facts.get(`${kind}/${metadata.name}`) ?? '',
    ])
    .sort((a, b) => a.join(' ').localeCompare(b.join(' ')))
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
