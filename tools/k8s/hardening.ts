/**
 * What every pod has to have: nobody's root, nothing to write to, no rights, bounds, probes, an end that lets it finish; and beside it a
 * disruption budget, a spread over nodes, and rollouts that never leave fewer than there were.
 */
import { z } from 'zod'

import { Manifest, matches, ofKind, workloads, type Container, type Workload } from './manifests.ts'

const Selecting = Manifest.extend({
  spec: z.looseObject({ selector: z.looseObject({ matchLabels: z.record(z.string(), z.string()) }) }),
})

/** Containers beside the one that serves: what they are for ends with it, and nobody asks them anything. */
const COMPANIONS = new Set(['nats/reloader'])

/** @returns what is missing */
export function hardeningProblems(manifests: readonly Manifest[]): string[] {
  const budgets = ofKind(manifests, 'PodDisruptionBudget', Selecting)
  return workloads(manifests).flatMap((workload) => {
    const where = `${workload.kind}/${workload.name}`
    const missing = [
      ...podProblems(workload),
      ...[...(workload.pod.initContainers ?? []), ...workload.pod.containers].flatMap((container) =>
        containerProblems(container).map((problem) => `${container.name} ${problem}`),
      ),
    ]
    if (workload.kind !== 'Job') {
      missing.push(...runningProblems(workload))
      const count = budgets.filter(({ spec }) => matches(spec.selector.matchLabels, workload.labels)).length
      if (count !== 1) missing.push(`has ${count} PodDisruptionBudgets, not one`)
    }
    if (workload.kind === 'Deployment' && workload.maxUnavailable !== 0)
      missing.push('may have fewer pods in a rollout')
    return missing.map((problem) => `${where}: ${problem}`)
  })
}

function podProblems({ name, pod, labels }: Workload): string[] {
  const { securityContext: context, automountServiceAccountToken: token } = pod
  const asksApi = labels['postbus/kubernetes-api'] === 'client'
  const rules: [boolean, string][] = [
    [context?.runAsNonRoot === true, 'does not say runAsNonRoot'],
    [(context?.runAsUser ?? 0) > 0, 'has no numeric user'],
    [context?.seccompProfile?.type === 'RuntimeDefault', 'has no seccomp profile RuntimeDefault'],
    [token === asksApi, asksApi ? 'needs a token of the Kubernetes API' : 'gets a token of the Kubernetes API'],
    [pod.enableServiceLinks === false, 'gets links to Services into its environment, among its settings'],
    [pod.serviceAccountName === name.replace(/-.*$/, ''), 'shares its ServiceAccount'],
    [!('hostNetwork' in pod) && !('hostPID' in pod) && !('hostIPC' in pod), "uses the host's namespaces"],
    [(pod.volumes ?? []).every((volume) => !('hostPath' in volume)), 'mounts a path of the host'],
    [
      (pod.volumes ?? []).every(({ emptyDir }) => emptyDir === undefined || emptyDir.sizeLimit !== undefined),
      'has an emptyDir without a bound',
    ],
  ]
  return rules.filter(([holds]) => !holds).map(([, problem]) => problem)
}

function containerProblems({ image, imagePullPolicy, resources, securityContext, volumeMounts }: Container): string[] {
  const bound = (of: { cpu?: string | undefined; memory?: string | undefined } | undefined): boolean =>
    of?.cpu !== undefined && of.memory !== undefined
  const rules: [boolean, string][] = [
    [/:[^/:]+$|@sha256:/.test(image), `has image ${image} without a tag`],
    [!/:latest$/.test(image), `has image ${image}: latest is another one tomorrow`],
    [imagePullPolicy === 'IfNotPresent', 'pulls what was loaded by hand'],
    [bound(resources?.requests), 'requests no cpu or no memory'],
    [bound(resources?.limits), 'has no limit of cpu or of memory'],
    [securityContext?.allowPrivilegeEscalation === false, 'may gain privileges'],
    [securityContext?.readOnlyRootFilesystem === true, 'may write to its root file system'],
    [securityContext?.capabilities?.drop?.includes('ALL') === true, 'keeps capabilities'],
    [(securityContext?.capabilities?.add ?? []).length === 0, 'adds capabilities'],
    [
      (volumeMounts ?? []).every(({ mountPath, readOnly }) => !mountPath.startsWith('/etc/') || readOnly === true),
      'may write to its settings',
    ],
  ]
  return rules.filter(([holds]) => !holds).map(([, problem]) => problem)
}

function runningProblems({ name, pod }: Workload): string[] {
  const problems = pod.containers
    .filter((container) => !COMPANIONS.has(`${name}/${container.name}`))
    .flatMap(({ name: container, startupProbe, readinessProbe, livenessProbe }) =>
      Object.entries({ startupProbe, readinessProbe, livenessProbe })
        .filter(([, probe]) => probe === undefined)
        .map(([probe]) => `${container} has no ${probe}`),
    )
  if ((pod.topologySpreadConstraints ?? []).length === 0) problems.push('is not spread over nodes')
  if (pod.terminationGracePeriodSeconds === undefined) problems.push('does not say how long its end may take')
  return problems
}

const Platform = Manifest.extend({ data: z.record(z.string(), z.string()) })
const PreStop = z.looseObject({ sleep: z.looseObject({ seconds: z.number() }) })

/** What the process leaves itself after the drain deadline (libs/service), rounded up. */
const LEFT_S = 3

/** The kubelet's patience must cover the pause before the signal and the drain after it. */
export function drainProblems(manifests: readonly Manifest[]): string[] {
  const platform = ofKind(
    manifests.filter(({ metadata }) => metadata.name.startsWith('platform-')),
    'ConfigMap',
    Platform,
  )[0]
  const drainS = Number(platform?.data['DRAIN_DEADLINE_MS'] ?? Number.NaN) / 1000
  return workloads(manifests)
    .filter(
      ({ kind, pod }) => kind === 'Deployment' && pod.containers.some(({ args }) => args?.[0]?.startsWith('apps/')),
    )
    .flatMap(({ name, pod }) => {
      const { seconds } = PreStop.parse(pod.containers[0]?.lifecycle?.preStop).sleep
      const needed = seconds + drainS + LEFT_S
      return (pod.terminationGracePeriodSeconds ?? 0) >= needed
        ? []
        : [`Deployment/${name}: is killed before it has drained, which takes up to ${needed} s`]
    })
}
