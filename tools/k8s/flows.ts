/**
 * Network policies against what pods need: who dials whom follows from their settings, and every such flow must be let out at one end
 * and in at the other. Policies add up: a pod that one selects may do what any of them allows, and nothing else.
 */
import { z } from 'zod'

import { Manifest, matches, ofKind, workloads, type Labels, type Workload } from './manifests.ts'
import { madeByOperators } from './references.ts'

const PodSelector = z.looseObject({ matchLabels: z.record(z.string(), z.string()).optional() })
const Peer = z.looseObject({
  podSelector: PodSelector.optional(),
  namespaceSelector: PodSelector.optional(),
  ipBlock: z.looseObject({ cidr: z.string() }).optional(),
})
const PolicyPort = z.looseObject({ port: z.number(), protocol: z.string() })
const Ports = z.array(PolicyPort).optional()

export const NetworkPolicy = Manifest.extend({
  spec: z.looseObject({
    podSelector: PodSelector,
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
    ingress: z.array(z.looseObject({ from: z.array(Peer).optional(), ports: Ports })).optional(),
    egress: z.array(z.looseObject({ to: z.array(Peer).optional(), ports: Ports })).optional(),
  }),
})
export type NetworkPolicy = z.infer<typeof NetworkPolicy>
export type Peer = z.infer<typeof Peer>

export interface Flow {
  from: End
  to: End
  port: number
  protocol: 'TCP' | 'UDP'
}

/** A pod of ours; one elsewhere in the cluster; or somewhere in the world. */
export type End =
  | { kind: 'pod'; name: string; labels: Labels }
  | { kind: 'elsewhere'; name: string; namespace: string; labels: Labels }
  | { kind: 'world'; name: string }

type Direction = 'Ingress' | 'Egress'

const opposite = (rule: { from?: Peer[] | undefined; to?: Peer[] | undefined }): Peer[] | undefined =>
  rule.from ?? rule.to

/** What is allowed at one end of a flow. */
function isAllowedAt(
  end: End,
  direction: Direction,
  { from, to, port, protocol }: Flow,
  policies: NetworkPolicy[],
): boolean {
  if (end.kind !== 'pod') return true // Not ours to say.
  const selecting = policies.filter(
    ({ spec }) => spec.policyTypes.includes(direction) && matches(spec.podSelector.matchLabels, end.labels),
  )
  if (selecting.length === 0) return true
  const other = direction === 'Ingress' ? from : to
  return selecting
    .flatMap(({ spec }): { from?: Peer[] | undefined; to?: Peer[] | undefined; ports?: z.infer<typeof Ports> }[] =>
      direction === 'Ingress' ? (spec.ingress ?? []) : (spec.egress ?? []),
    )
    .some(
      (rule) =>
        (rule.ports?.some((allowed) => allowed.port === port && allowed.protocol === protocol) ?? true) &&
        (opposite(rule)?.some((peer) => isPeer(peer, other)) ?? true),
    )
}

function isPeer({ podSelector, namespaceSelector, ipBlock }: Peer, other: End): boolean {
  if (ipBlock !== undefined) return other.kind === 'world'
  if (other.kind === 'world') return false
  if (other.kind === 'pod') return namespaceSelector === undefined && matches(podSelector?.matchLabels, other.labels)
  const namespace = { 'kubernetes.io/metadata.name': other.namespace }
  return (
    namespaceSelector !== undefined &&
    matches(namespaceSelector.matchLabels, namespace) &&
    matches(podSelector?.matchLabels, other.labels)
  )
}

export const isAllowed = (flow: Flow, policies: NetworkPolicy[]): boolean =>
  isAllowedAt(flow.from, 'Egress', flow, policies) && isAllowedAt(flow.to, 'Ingress', flow, policies)

const Platform = Manifest.extend({ data: z.record(z.string(), z.string()).optional() })

const anybody: End = { kind: 'world', name: 'anybody' }
const dns: End = { kind: 'elsewhere', name: 'DNS', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } }
const prometheus: End = {
  kind: 'elsewhere',
  name: 'Prometheus',
  namespace: 'monitoring',
  labels: { 'app.kubernetes.io/name': 'prometheus' },
}
const keda: End = { kind: 'elsewhere', name: 'KEDA', namespace: 'keda', labels: { app: 'keda-operator' } }

/** Every flow that the settings of these manifests make. */
export function neededFlows(manifests: readonly Manifest[]): Flow[] {
  const all = workloads(manifests)
  const shared = ofKind(manifests, 'ConfigMap', Platform)
  const settingsOf = ({ pod }: Workload): Map<string, string> => {
    const containers = [...(pod.initContainers ?? []), ...pod.containers]
    const names = containers.flatMap(({ envFrom }) =>
      (envFrom ?? []).flatMap(({ configMapRef }) => configMapRef?.name ?? []),
    )
    const from = shared
      .filter(({ metadata }) => names.includes(metadata.name))
      .flatMap(({ data }) => Object.entries(data ?? {}))
    const own = containers.flatMap(({ env }) =>
      (env ?? []).map(({ name, value = '' }): [string, string] => [name, value]),
    )
    return new Map([...from, ...own])
  }
  const ends = (name: string): End[] =>
    [...all, ...madeByOperators(manifests).pods]
      .filter((pod) => pod.name === name)
      .map(({ labels }) => ({ kind: 'pod', name, labels }))
  const has = (kind: string): boolean => manifests.some((manifest) => manifest.kind === kind)
  const tcp = (from: End, to: End[], port: number): Flow[] =>
    to.map((end) => ({ from, to: end, port, protocol: 'TCP' }))

  return all.flatMap((workload) => {
    const self: End = { kind: 'pod', name: workload.name, labels: workload.labels }
    const settings = settingsOf(workload)
    const values = [...settings.values()]
    const ports = workload.pod.containers.flatMap((container) => container.ports ?? [])
    const usesStore = (setting: string): boolean =>
      workload.labels[`postbus/${setting.toLowerCase()}`] === 'client' && /^s3:/.test(settings.get(setting) ?? '')
    return [
      ...(['TCP', 'UDP'] as const).map((protocol): Flow => ({ from: self, to: dns, port: 53, protocol })),
      ...(workload.labels['postbus/bus'] === 'client' ? tcp(self, ends('nats'), 4222) : []),
      ...(workload.name === 'nats' ? tcp(self, ends('nats'), 6222) : []),
      ...(values.some((value) => /^postgres:/.test(value)) || settings.has('DATABASE_PASSWORDS_DIR')
        ? tcp(self, ends('postgres'), 5432)
        : []),
      ...(usesStore('SPOOL') || usesStore('BLOBS') ? tcp(self, [anybody], 443) : []),
      ...(workload.name === 'delivery' ? [25, 465, 587].flatMap((port) => tcp(self, [anybody], port)) : []),
      ...(workload.pod.automountServiceAccountToken === true
        ? tcp(self, [{ kind: 'world', name: 'Kubernetes API' }], 6443)
        : []),
      ...(settings.has('TLS_CERT_FILE')
        ? ports
            .filter(({ name }) => name !== 'health')
            .flatMap(({ containerPort }) => tcp(anybody, [self], containerPort))
        : []),
      ...(has('PodMonitor') && ports.some(({ name }) => name === 'health') ? tcp(prometheus, [self], 9090) : []),
      ...(has('ScaledObject') && workload.name === 'nats' ? tcp(keda, [self], 8222) : []),
    ]
  })
}

/** Flows that must never be: what a hole in one pod would try next. */
export function forbiddenFlows(manifests: readonly Manifest[]): Flow[] {
  const all = workloads(manifests)
  const world: End = { kind: 'world', name: 'anybody' }
  const stranger: End = { kind: 'elsewhere', name: 'a stranger', namespace: 'default', labels: { app: 'stranger' } }
  return all.flatMap((workload) => {
    const self: End = { kind: 'pod', name: workload.name, labels: workload.labels }
    const ports = workload.pod.containers.flatMap((container) => container.ports ?? [])
    const isOpen = workload.pod.containers.some(({ env }) => env?.some(({ name }) => name === 'TLS_CERT_FILE'))
    const others = all.filter((other) => other !== workload)
    return [
      // The way out, by a port nobody of ours uses.
      { from: self, to: world, port: 80, protocol: 'TCP' as const },
      ...(workload.name === 'delivery' ? [] : [{ from: self, to: world, port: 25, protocol: 'TCP' as const }]),
      ...(workload.pod.automountServiceAccountToken
        ? []
        : [{ from: self, to: world, port: 6443, protocol: 'TCP' as const }]),
      // The way in, from elsewhere in the cluster.
      ...ports
        .filter(({ name }) => !isOpen || name === 'health')
        .map(({ containerPort }) => ({ from: stranger, to: self, port: containerPort, protocol: 'TCP' as const })),
      // From service to service there is no way but the bus.
      ...others.flatMap((other) =>
        other.pod.containers
          .flatMap((container) => container.ports ?? [])
          .filter(({ name }) => name === 'health')
          .map(({ containerPort }) => ({
            ...{ from: self, to: { kind: 'pod' as const, name: other.name, labels: other.labels } },
            ...{ port: containerPort, protocol: 'TCP' as const },
          })),
      ),
      ...others
        .filter((other) => other.name === 'postgres' && workload.labels['postbus/database'] !== 'client')
        .map((other) => ({
          ...{ from: self, to: { kind: 'pod' as const, name: other.name, labels: other.labels } },
          ...{ port: 5432, protocol: 'TCP' as const },
        })),
    ]
  })
}

export function flowProblems(manifests: readonly Manifest[]): string[] {
  const policies = ofKind(manifests, 'NetworkPolicy', NetworkPolicy)
  const told = ({ from, to, port, protocol }: Flow): string => `${from.name} → ${to.name} ${protocol} ${port}`
  return [
    ...neededFlows(manifests)
      .filter((flow) => !isAllowed(flow, policies))
      .map((flow) => `${told(flow)}: needed, and no policy allows it`),
    ...forbiddenFlows(manifests)
      .filter((flow) => isAllowed(flow, policies))
      .map((flow) => `${told(flow)}: allowed, and nobody needs it`),
  ]
}
