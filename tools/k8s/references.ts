/**
 * What one object says of another is true: every selector finds pods, every port a name, every ConfigMap, Secret, key, ServiceAccount,
 * Service, claim and volume is there, or somebody is known to make it.
 */
import { z } from 'zod'

import { Manifest, matches, ofKind, workloads, type Container, type Labels, type Workload } from './manifests.ts'

const Port = z.looseObject({
  name: z.string(),
  port: z.number(),
  targetPort: z.union([z.string(), z.number()]).optional(),
})
const Service = Manifest.extend({
  spec: z.looseObject({ selector: z.record(z.string(), z.string()).optional(), ports: z.array(Port) }),
})
const MatchLabels = z.looseObject({ matchLabels: z.record(z.string(), z.string()).optional() })
const Selecting = Manifest.extend({ spec: z.looseObject({ selector: MatchLabels }) })
const ConfigMap = Manifest.extend({ data: z.record(z.string(), z.string()).optional() })
const ScaleTarget = z.looseObject({ name: z.string(), kind: z.string().optional() })
const Scaler = Manifest.extend({ spec: z.looseObject({ scaleTargetRef: ScaleTarget }) })
const PodMonitor = Manifest.extend({
  spec: z.looseObject({ selector: MatchLabels, podMetricsEndpoints: z.array(z.looseObject({ port: z.string() })) }),
})
const Route = Manifest.extend({
  spec: z.looseObject({
    parentRefs: z.array(z.looseObject({ name: z.string(), sectionName: z.string().optional() })),
    rules: z.array(z.looseObject({ backendRefs: z.array(z.looseObject({ name: z.string(), port: z.number() })) })),
  }),
})
const Gateway = Manifest.extend({ spec: z.looseObject({ listeners: z.array(z.looseObject({ name: z.string() })) }) })
const Certificate = Manifest.extend({
  spec: z.looseObject({ secretName: z.string(), issuerRef: z.looseObject({ name: z.string(), kind: z.string() }) }),
})
const Binding = Manifest.extend({
  roleRef: z.looseObject({ kind: z.string(), name: z.string() }),
  subjects: z.array(z.looseObject({ kind: z.string(), name: z.string() })),
})
const PostgresCluster = Manifest.extend({
  spec: z.looseObject({ inheritedMetadata: z.looseObject({ labels: z.record(z.string(), z.string()) }) }),
})

/** Names of Secrets and the keys in them. */
export type KnownSecrets = ReadonlyMap<string, readonly string[]>

/** Services an operator makes, and their pods' labels. */
export interface MadeByOperators {
  secrets: KnownSecrets
  services: string[]
  pods: { name: string; labels: Labels }[]
}

/** What cert-manager and CloudNativePG make of their objects. */
export function madeByOperators(manifests: readonly Manifest[]): MadeByOperators {
  const clusters = ofKind(manifests, 'Cluster', PostgresCluster)
  const certificates = ofKind(manifests, 'Certificate', Certificate)
  return {
    secrets: new Map<string, string[]>([
      ...certificates.map(({ spec }): [string, string[]] => [spec.secretName, ['tls.crt', 'tls.key', 'ca.crt']]),
      ...clusters.flatMap(({ metadata: { name } }): [string, string[]][] => [
        [`${name}-ca`, ['ca.crt', 'ca.key']],
        [`${name}-superuser`, ['username', 'password']],
      ]),
    ]),
    services: clusters.flatMap(({ metadata: { name } }) => [`${name}-rw`, `${name}-ro`, `${name}-r`]),
    pods: clusters.map(({ metadata: { name }, spec }) => ({ name, labels: spec.inheritedMetadata.labels })),
  }
}

/** @param secrets those that are made by Jobs and by administrators */
export function referenceProblems(manifests: readonly Manifest[], secrets: KnownSecrets): string[] {
  const problems: string[] = []
  const named = (kind: string): Set<string> =>
    new Set(manifests.filter((manifest) => manifest.kind === kind).map(({ metadata }) => metadata.name))
  const operators = madeByOperators(manifests)
  const knownSecrets = new Map([...secrets, ...operators.secrets])
  const configMaps = new Map(
    ofKind(manifests, 'ConfigMap', ConfigMap).map(({ metadata, data }) => [metadata.name, Object.keys(data ?? {})]),
  )
  const all = workloads(manifests)
  const services = ofKind(manifests, 'Service', Service)
  const pods = [...all, ...operators.pods]

  const wantKey = (where: string, kind: string, known: KnownSecrets, name: string, key?: string): void => {
    const keys = known.get(name)
    if (keys === undefined) problems.push(`${where}: there is no ${kind} ${name}`)
    else if (key !== undefined && !keys.includes(key)) problems.push(`${where}: ${kind} ${name} has no key ${key}`)
  }

  for (const workload of all) {
    const where = `${workload.kind}/${workload.name}`
    if (workload.selector !== null && !matches(workload.selector, workload.labels)) {
      problems.push(`${where}: its selector does not find its own pods`)
    }
    if (workload.selector !== null && Object.keys(workload.selector).length === 0)
      problems.push(`${where}: selects everything`)
    for (const other of all) {
      if (other === workload || workload.selector === null || !matches(workload.selector, other.labels)) continue
      problems.push(`${where}: its selector finds pods of ${other.kind}/${other.name}`)
    }
    const account = workload.pod.serviceAccountName
    if (account === undefined || !named('ServiceAccount').has(account)) {
      problems.push(`${where}: there is no ServiceAccount ${account ?? '(none named)'}`)
    }
    if (workload.serviceName !== undefined && !named('Service').has(workload.serviceName)) {
      problems.push(`${where}: there is no Service ${workload.serviceName}`)
    }
    volumesOf(workload, where, problems, {
      secret: (name, key) => wantKey(where, 'Secret', knownSecrets, name, key),
      configMap: (name, key) => wantKey(where, 'ConfigMap', configMaps, name, key),
    })
    for (const container of [...(workload.pod.initContainers ?? []), ...workload.pod.containers]) {
      const here = `${where} ${container.name}`
      problems.push(...portProblems(container, here), ...expansionProblems(container, here))
      for (const { configMapRef, secretRef } of container.envFrom ?? []) {
        if (configMapRef) wantKey(here, 'ConfigMap', configMaps, configMapRef.name)
        if (secretRef) wantKey(here, 'Secret', knownSecrets, secretRef.name)
      }
      for (const { valueFrom } of container.env ?? []) {
        const { secretKeyRef, configMapKeyRef } = valueFrom ?? {}
        if (secretKeyRef) wantKey(here, 'Secret', knownSecrets, secretKeyRef.name, secretKeyRef.key)
        if (configMapKeyRef) wantKey(here, 'ConfigMap', configMaps, configMapKeyRef.name, configMapKeyRef.key)
      }
    }
  }

  for (const { metadata, spec } of services) {
    const where = `Service/${metadata.name}`
    const found = all.filter(({ labels }) => matches(spec.selector, labels))
    if (found.length !== 1) problems.push(`${where}: its selector finds ${found.length} workloads, not one`)
    for (const { name, targetPort = name } of spec.ports) {
      const listens = found.some(({ pod }) =>
        pod.containers.some(({ ports = [] }) =>
          ports.some((port) => port.name === targetPort || port.containerPort === targetPort),
        ),
      )
      if (!listens) problems.push(`${where}: no container has port ${targetPort}`)
    }
  }

  for (const kind of ['PodDisruptionBudget', 'PodMonitor']) {
    for (const { metadata, spec } of ofKind(manifests, kind, Selecting)) {
      const found = pods.filter(({ labels }) => matches(spec.selector.matchLabels, labels))
      if (found.length === 0) problems.push(`${kind}/${metadata.name}: its selector finds no pods`)
    }
  }
  for (const { metadata, spec } of ofKind(manifests, 'PodMonitor', PodMonitor)) {
    const ports = all
      .filter(({ labels }) => matches(spec.selector.matchLabels, labels))
      .flatMap(({ pod }) => pod.containers.flatMap((container) => container.ports ?? []))
    for (const { port } of spec.podMetricsEndpoints) {
      if (!ports.some(({ name }) => name === port))
        problems.push(`PodMonitor/${metadata.name}: no pod has port ${port}`)
    }
  }

  const scaled = new Map<string, string>()
  for (const kind of ['HorizontalPodAutoscaler', 'ScaledObject']) {
    for (const { metadata, spec } of ofKind(manifests, kind, Scaler)) {
      const where = `${kind}/${metadata.name}`
      const target = spec.scaleTargetRef.name
      if (!named(spec.scaleTargetRef.kind ?? 'Deployment').has(target))
        problems.push(`${where}: there is no ${target} to scale`)
      const other = scaled.get(target)
      if (other !== undefined) problems.push(`${where}: ${other} scales ${target} already`)
      scaled.set(target, where)
    }
  }

  const gateways = ofKind(manifests, 'Gateway', Gateway)
  for (const { metadata, spec } of ofKind(manifests, 'TCPRoute', Route)) {
    const where = `TCPRoute/${metadata.name}`
    for (const { name, sectionName } of spec.parentRefs) {
      const listeners = gateways.find((gateway) => gateway.metadata.name === name)?.spec.listeners
      if (!listeners?.some((listener) => listener.name === sectionName)) {
        problems.push(`${where}: Gateway ${name} has no listener ${sectionName ?? '(none named)'}`)
      }
    }
    for (const { name, port } of spec.rules.flatMap((rule) => rule.backendRefs)) {
      const ports = services.find((service) => service.metadata.name === name)?.spec.ports ?? []
      if (!ports.some((known) => known.port === port)) problems.push(`${where}: Service ${name} has no port ${port}`)
    }
  }

  for (const { metadata, spec } of ofKind(manifests, 'Certificate', Certificate)) {
    const { kind, name } = spec.issuerRef
    // A ClusterIssuer belongs to the cluster's administrators.
    if (kind === 'Issuer' && !named('Issuer').has(name))
      problems.push(`Certificate/${metadata.name}: no Issuer ${name}`)
  }
  for (const kind of ['RoleBinding', 'ClusterRoleBinding']) {
    for (const { metadata, roleRef, subjects } of ofKind(manifests, kind, Binding)) {
      const where = `${kind}/${metadata.name}`
      if (!named(roleRef.kind).has(roleRef.name)) problems.push(`${where}: there is no ${roleRef.kind} ${roleRef.name}`)
      for (const subject of subjects) {
        if (!named(subject.kind).has(subject.name))
          problems.push(`${where}: there is no ${subject.kind} ${subject.name}`)
      }
    }
  }

  const hosts = new Set([...services.map(({ metadata }) => metadata.name), ...operators.services])
  for (const [where, name] of hostsIn(manifests)) {
    if (!hosts.has(name)) problems.push(`${where}: there is no Service ${name}`)
  }
  return problems
}

interface Wanted {
  secret(name: string, key?: string): void
  configMap(name: string, key?: string): void
}

function volumesOf({ pod, claims }: Workload, where: string, problems: string[], want: Wanted): void {
  const names = new Set([...(pod.volumes ?? []).map(({ name }) => name), ...claims])
  const mounts = [...(pod.initContainers ?? []), ...pod.containers].flatMap(({ volumeMounts }) => volumeMounts ?? [])
  for (const { name } of mounts) if (!names.has(name)) problems.push(`${where}: there is no volume ${name}`)
  for (const name of names) {
    if (!mounts.some((mount) => mount.name === name)) problems.push(`${where}: nobody mounts volume ${name}`)
  }
  for (const { secret, configMap, projected } of pod.volumes ?? []) {
    const sources = [
      ...(secret ? [{ want: want.secret, name: secret.secretName, items: secret.items }] : []),
      ...(configMap ? [{ want: want.configMap, name: configMap.name, items: configMap.items }] : []),
      ...(projected?.sources ?? []).flatMap((source) => [
        ...(source.secret ? [{ want: want.secret, ...source.secret }] : []),
        ...(source.configMap ? [{ want: want.configMap, ...source.configMap }] : []),
      ]),
    ]
    for (const source of sources) {
      source.want(source.name)
      for (const { key } of source.items ?? []) source.want(source.name, key)
    }
  }
}

function portProblems({ ports = [], ...container }: Container, where: string): string[] {
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe]
  return probes
    .flatMap((probe) => (probe?.httpGet ? [probe.httpGet.port] : []))
    .filter((port) => !ports.some(({ name, containerPort }) => name === port || containerPort === port))
    .map((port) => `${where}: a probe asks port ${port}, which it has not`)
}

/** `$(NAME)` becomes the value only of what stands before it in `env`; anything else stays as it is written, or is from elsewhere. */
function expansionProblems({ env = [], args = [], command = [] }: Container, where: string): string[] {
  const used = (text: string): string[] => [...text.matchAll(/(?<!\$)\$\((\w+)\)/g)].map(([, name]) => name ?? '')
  const before = new Set<string>()
  const problems: string[] = []
  for (const { name, value = '' } of env) {
    for (const other of used(value))
      if (!before.has(other)) problems.push(`${where}: ${name} uses $(${other}) before it is set`)
    before.add(name)
  }
  for (const other of [...args, ...command].filter((word) => !word.includes('\n')).flatMap(used)) {
    if (!before.has(other)) problems.push(`${where}: its command uses $(${other}), which is not set`)
  }
  return problems
}

const ConfigData = ConfigMap

/** Services that settings name: those of the bus and of PostgreSQL. */
function* hostsIn(manifests: readonly Manifest[]): Iterable<[where: string, service: string]> {
  for (const { metadata, data = {} } of ofKind(manifests, 'ConfigMap', ConfigData)) {
    const where = `ConfigMap/${metadata.name}`
    for (const url of (data['NATS_URL'] ?? '').split(',').filter((part) => part !== '')) {
      yield [where, new URL(url).hostname.split('.').at(-1) ?? '']
    }
    if (data['DATABASE_HOST'] !== undefined) yield [where, data['DATABASE_HOST'].split(':')[0] ?? '']
  }
}
