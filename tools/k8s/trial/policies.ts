/** Network policies as rules of nft inside a pod's network namespace: both directions dropped unless a policy allows. */
import { matches, type Labels } from '../manifests.ts'
import type { NetworkPolicy, Peer } from '../flows.ts'
import { addresses } from './machine.ts'

export interface Addressed {
  labels: Labels
  address: string
}

type Rule = { peers: Peer[] | undefined; ports: { port: number; protocol: string }[] | undefined }

export function rulesFor(labels: Labels, policies: readonly NetworkPolicy[], pods: readonly Addressed[]): string {
  const chain = (direction: 'Ingress' | 'Egress'): string => {
    const [hook, side] = direction === 'Ingress' ? (['input', 'saddr'] as const) : (['output', 'daddr'] as const)
    const selecting = policies.filter(
      ({ spec }) => spec.policyTypes.includes(direction) && matches(spec.podSelector.matchLabels, labels),
    )
    const rules = selecting.flatMap(({ spec }): Rule[] =>
      direction === 'Ingress'
        ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
        : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports })),
    )
    const allowed = rules.flatMap(({ peers, ports }) => {
      const found = peers?.flatMap((peer) => addressesOf(peer, pods))
      if (found?.length === 0) return []
      const whom = found ? `ip ${side} { ${found.join(', ')} } ` : ''
      const protocols = ports?.map(({ port, protocol }) => `${protocol.toLowerCase()} dport ${port} `) ?? ['']
      return protocols.map((protocol) => `${whom}${protocol}accept`)
    })
    return [
      `chain ${hook} {`,
      `type filter hook ${hook} priority 0; policy ${selecting.length === 0 ? 'accept' : 'drop'};`,
      'ct state established,related accept;',
      `${direction === 'Ingress' ? 'iif' : 'oif'} lo accept;`,
      // What comes from the node itself is the kubelet's.
      ...(direction === 'Ingress' ? [`ip saddr ${addresses.node} accept;`] : []),
      ...allowed.map((rule) => `${rule};`),
      // An attempt that is not allowed should be seen at once, not after a time-out.
      'meta l4proto tcp reject with tcp reset;',
      '}',
    ].join('\n')
  }
  return `table inet policies {\n${chain('Ingress')}\n${chain('Egress')}\n}`
}

function addressesOf({ podSelector, namespaceSelector, ipBlock }: Peer, pods: readonly Addressed[]): string[] {
  if (ipBlock !== undefined) return [ipBlock.cidr]
  if (namespaceSelector !== undefined) {
    // Of other namespaces only the cluster's DNS is here.
    return podSelector?.matchLabels?.['k8s-app'] === 'kube-dns' ? [addresses.dns] : []
  }
  return pods.filter((pod) => matches(podSelector?.matchLabels, pod.labels)).map(({ address }) => address)
}
