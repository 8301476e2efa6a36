/** Manifests as kustomize renders them, and the parts of them that the checks look at. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

import { findDebianProgram } from '../programs/find.mjs'

const run = promisify(execFile)

const MAX_RENDERED_BYTES = 64 * 1024 ** 2

const Labels = z.record(z.string(), z.string())
export type Labels = z.infer<typeof Labels>

/** Any object; what else it holds is kept. */
export const Manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional(), labels: Labels.optional() }),
})
export type Manifest = z.infer<typeof Manifest>

const KeyRef = z.looseObject({ name: z.string(), key: z.string(), optional: z.boolean().optional() })
const NameRef = z.looseObject({ name: z.string(), optional: z.boolean().optional() })
const Items = z.array(z.looseObject({ key: z.string(), path: z.string() })).optional()

const EnvVar = z.looseObject({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.looseObject({ secretKeyRef: KeyRef.optional(), configMapKeyRef: KeyRef.optional() }).optional(),
})

const Probe = z.looseObject({ httpGet: z.looseObject({ port: z.union([z.string(), z.number()]) }).optional() })
const Quantities = z.looseObject({ cpu: z.string().optional(), memory: z.string().optional() })

const Container = z.looseObject({
  name: z.string(),
  image: z.string(),
  imagePullPolicy: z.string().optional(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  env: z.array(EnvVar).optional(),
  envFrom: z.array(z.looseObject({ configMapRef: NameRef.optional(), secretRef: NameRef.optional() })).optional(),
  ports: z
    .array(z.looseObject({ name: z.string(), containerPort: z.number(), protocol: z.string().optional() }))
    .optional(),
  resources: z.looseObject({ requests: Quantities.optional(), limits: Quantities.optional() }).optional(),
  securityContext: z
    .looseObject({
      allowPrivilegeEscalation: z.boolean().optional(),
      readOnlyRootFilesystem: z.boolean().optional(),
      capabilities: z
        .looseObject({ drop: z.array(z.string()).optional(), add: z.array(z.string()).optional() })
        .optional(),
    })
    .optional(),
  startupProbe: Probe.optional(),
  readinessProbe: Probe.optional(),
  livenessProbe: Probe.optional(),
  lifecycle: z.looseObject({ preStop: z.looseObject({}).optional() }).optional(),
  volumeMounts: z
    .array(z.looseObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }))
    .optional(),
})
export type Container = z.infer<typeof Container>

const SecretVolume = z.looseObject({ secretName: z.string(), items: Items, defaultMode: z.number().optional() })

const Volume = z.looseObject({
  name: z.string(),
  secret: SecretVolume.optional(),
  configMap: z.looseObject({ name: z.string(), items: Items }).optional(),
  emptyDir: z.looseObject({ medium: z.string().optional(), sizeLimit: z.string().optional() }).optional(),
  projected: z
    .looseObject({
      defaultMode: z.number().optional(),
      sources: z.array(
        z.looseObject({
          secret: z.looseObject({ name: z.string(), items: Items }).optional(),
          configMap: z.looseObject({ name: z.string(), items: Items }).optional(),
        }),
      ),
    })
    .optional(),
})
export type Volume = z.infer<typeof Volume>

const PodSpec = z.looseObject({
  serviceAccountName: z.string().optional(),
  automountServiceAccountToken: z.boolean().optional(),
  enableServiceLinks: z.boolean().optional(),
  restartPolicy: z.string().optional(),
  terminationGracePeriodSeconds: z.number().optional(),
  shareProcessNamespace: z.boolean().optional(),
  securityContext: z
    .looseObject({
      runAsNonRoot: z.boolean().optional(),
      runAsUser: z.number().optional(),
      runAsGroup: z.number().optional(),
      fsGroup: z.number().optional(),
      seccompProfile: z.looseObject({ type: z.string() }).optional(),
    })
    .optional(),
  topologySpreadConstraints: z.array(z.looseObject({ topologyKey: z.string() })).optional(),
  initContainers: z.array(Container).optional(),
  containers: z.array(Container),
  volumes: z.array(Volume).optional(),
})
export type PodSpec = z.infer<typeof PodSpec>

const Template = z.looseObject({ metadata: z.looseObject({ labels: Labels }), spec: PodSpec })
const Selector = z.looseObject({ matchLabels: Labels.optional() })

const WorkloadManifest = Manifest.extend({
  spec: z.looseObject({
    replicas: z.number().optional(),
    serviceName: z.string().optional(),
    selector: Selector.optional(),
    template: Template,
    strategy: z
      .looseObject({
        rollingUpdate: z.looseObject({ maxUnavailable: z.union([z.number(), z.string()]).optional() }).optional(),
      })
      .optional(),
    volumeClaimTemplates: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })).optional(),
  }),
})

/** Something that makes pods. */
export interface Workload {
  kind: 'Deployment' | 'StatefulSet' | 'Job'
  name: string
  replicas: number
  /** Of its pods. */
  labels: Labels
  /** What it finds its pods by; null for a Job, which makes its own. */
  selector: Labels | null
  pod: PodSpec
  claims: string[]
  serviceName: string | undefined
  maxUnavailable: number | string | undefined
}

const KINDS = ['Deployment', 'StatefulSet', 'Job'] as const

export function workloads(manifests: readonly Manifest[]): Workload[] {
  return manifests.flatMap((manifest) => {
    const kind = KINDS.find((known) => known === manifest.kind)
    if (kind === undefined) return []
    const { metadata, spec } = WorkloadManifest.parse(manifest)
    return [
      {
        kind,
        name: metadata.name,
        replicas: spec.replicas ?? 1,
        labels: spec.template.metadata.labels,
        selector: kind === 'Job' ? null : (spec.selector?.matchLabels ?? {}),
        pod: spec.template.spec,
        claims: (spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata.name),
        serviceName: spec.serviceName,
        maxUnavailable: spec.strategy?.rollingUpdate?.maxUnavailable,
      },
    ]
  })
}

export const ofKind = <T>(manifests: readonly Manifest[], kind: string, schema: z.ZodType<T>): T[] =>
  manifests.filter((manifest) => manifest.kind === kind).map((manifest) => schema.parse(manifest))

export const matches = (selector: Labels | undefined, labels: Labels): boolean =>
  Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value)

export const repository = join(import.meta.dirname, '..', '..')
export const overlays = ['dev', 'prod'] as const
export type Overlay = (typeof overlays)[number]
export const overlayDir = (overlay: Overlay): string => join(repository, 'deploy', 'k8s', 'overlays', overlay)

/** Renders a directory with kustomize. @throws with what kustomize says */
export async function render(directory: string): Promise<Manifest[]> {
  const kubectl = await findDebianProgram('kubectl', { log: (line) => process.stderr.write(`${line}\n`) })
  const { stdout } = await run(kubectl, ['kustomize', directory], { maxBuffer: MAX_RENDERED_BYTES })
  return parseManifests(stdout)
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.join('\n'))
    return Manifest.parse(document.toJS())
  })
}

/** Secrets an overlay's administrators make themselves, as its example shows them. */
export async function givenSecrets(overlay: Overlay): Promise<Map<string, string[]>> {
  const text = await readFile(join(overlayDir(overlay), 'secrets.example.yaml'), 'utf8').catch(() => '')
  const Secret = Manifest.extend({ stringData: z.record(z.string(), z.string()) })
  return new Map(
    parseManifests(text).map((manifest) => {
      const { metadata, stringData } = Secret.parse(manifest)
      return [metadata.name, Object.keys(stringData)]
    }),
  )
}
