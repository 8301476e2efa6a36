/** The manifests hold, and each check can fail: a fault is planted in a rendered overlay, and has to be found. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { secretsOf, versionProblems } from './check.ts'
import { flowProblems } from './flows.ts'
import { drainProblems, hardeningProblems } from './hardening.ts'
import { Manifest, overlayDir, overlays, parseManifests, render, type Overlay } from './manifests.ts'
import { referenceProblems } from './references.ts'
import { schemaProblems } from './schemas.ts'

const rendered: Record<Overlay, Manifest[]> = {
  dev: await render(overlayDir('dev')),
  prod: await render(overlayDir('prod')),
}

for (const overlay of overlays) {
  test(`${overlay}: every object is valid, every reference resolves, every pod is hardened, every flow is allowed`, async () => {
    const manifests = rendered[overlay]
    assert.deepEqual(await schemaProblems(manifests), [])
    assert.deepEqual(referenceProblems(manifests, await secretsOf(overlay, manifests)), [])
    assert.deepEqual(hardeningProblems(manifests), [])
    assert.deepEqual(drainProblems(manifests), [])
    assert.deepEqual(flowProblems(manifests), [])
    assert.deepEqual(await versionProblems(manifests), [])
  })
}

/** Text of one object, changed; the others as they are. */
function planted(overlay: Overlay, kind: string, name: string, from: string | RegExp, to: string): Manifest[] {
  let isPlanted = false
  const manifests = rendered[overlay].map((manifest) => {
    if (manifest.kind !== kind || !manifest.metadata.name.startsWith(name)) return manifest
    const text = JSON.stringify(manifest)
    const changed = text.replace(from, to)
    isPlanted ||= changed !== text
    return Manifest.parse(JSON.parse(changed))
  })
  assert.ok(isPlanted, `${kind}/${name} has no ${String(from)}`)
  return manifests
}

const without = (overlay: Overlay, kind: string, name: string): Manifest[] =>
  rendered[overlay].filter((manifest) => manifest.kind !== kind || manifest.metadata.name !== name)

const references = async (overlay: Overlay, manifests: Manifest[]): Promise<string[]> =>
  referenceProblems(manifests, await secretsOf(overlay, rendered[overlay]))

type Fault = [what: string, problems: () => Promise<string[]> | string[], finding: RegExp]

const faults: Fault[] = [
  [
    'a field nobody knows',
    () => schemaProblems(planted('dev', 'Deployment', 'router', '"image":', '"immage":"x","image":')),
    /Deployment\/router: .*immage/,
  ],
  [
    'a value that is none of the allowed',
    () => schemaProblems(planted('dev', 'Deployment', 'router', '"IfNotPresent"', '"Sometimes"')),
    /Deployment\/router: .*allowed/,
  ],
  [
    "an unknown field of an operator's object",
    () => schemaProblems(planted('prod', 'ScaledObject', 'router', '"pollingInterval"', '"poolingInterval"')),
    /ScaledObject\/router: .*poolingInterval/,
  ],
  [
    'a selector that finds nobody',
    () =>
      references(
        'dev',
        planted(
          'dev',
          'Service',
          'imap',
          '"app.kubernetes.io/name":"imap"},"type"',
          '"app.kubernetes.io/name":"imapd"},"type"',
        ),
      ),
    /Service\/imap: its selector finds 0/,
  ],
  [
    'a port without a name',
    () => references('dev', planted('dev', 'Service', 'imap', '"targetPort":"imaps"', '"targetPort":"imapss"')),
    /Service\/imap: no container has port imapss/,
  ],
  [
    'a Secret nobody makes',
    () => references('dev', planted('dev', 'Deployment', 'router', 'bus-key-router', 'bus-key-routr')),
    /Deployment\/router: there is no Secret bus-key-routr/,
  ],
  [
    'a key that is not in the Secret',
    () => references('dev', planted('dev', 'Deployment', 'router', '"key":"nkey"', '"key":"seed"')),
    /Secret bus-key-router has no key seed/,
  ],
  [
    'a ConfigMap that is gone',
    () => references('dev', without('dev', 'ConfigMap', 'cluster')),
    /there is no ConfigMap cluster/,
  ],
  [
    'a ServiceAccount that is gone',
    () => references('dev', without('dev', 'ServiceAccount', 'pop3')),
    /Deployment\/pop3: there is no ServiceAccount pop3/,
  ],
  [
    'a Service that settings name',
    () => references('dev', without('dev', 'Service', 'nats-headless')),
    /there is no Service nats-headless/,
  ],
  [
    'a volume nobody mounts',
    () =>
      references(
        'dev',
        planted('dev', 'Deployment', 'router', '"mountPath":"/tmp","name":"tmp"', '"mountPath":"/tmp","name":"temp"'),
      ),
    /there is no volume temp/,
  ],
  [
    'a variable that is set later',
    () => references('dev', planted('dev', 'Deployment', 'custody', '$(DATABASE_PASSWORD)', '$(LATER)')),
    /uses \$\(LATER\) before it is set/,
  ],
  [
    'a budget for nobody',
    () =>
      references(
        'dev',
        planted(
          'dev',
          'PodDisruptionBudget',
          'router',
          '"matchLabels":{"app.kubernetes.io/name":"router"',
          '"matchLabels":{"app.kubernetes.io/name":"ruter"',
        ),
      ),
    /PodDisruptionBudget\/router: its selector finds no pods/,
  ],
  [
    'two scalers of one target',
    () =>
      references(
        'prod',
        planted(
          'prod',
          'HorizontalPodAutoscaler',
          'pop3',
          '"kind":"Deployment","name":"pop3"',
          '"kind":"Deployment","name":"router"',
        ),
      ),
    /scales router already/,
  ],
  [
    'an issuer that is gone',
    () => references('prod', without('prod', 'Issuer', 'bus-authority')),
    /Certificate\/bus-tls: no Issuer bus-authority/,
  ],
  [
    'root',
    () => hardeningProblems(planted('dev', 'Deployment', 'router', '"runAsNonRoot":true', '"runAsNonRoot":false')),
    /router: does not say runAsNonRoot/,
  ],
  [
    'a file system to write to',
    () =>
      hardeningProblems(
        planted('dev', 'StatefulSet', 'nats', /"readOnlyRootFilesystem":true/g, '"readOnlyRootFilesystem":false'),
      ),
    /nats: nats may write to its root/,
  ],
  [
    'latest',
    () => hardeningProblems(planted('dev', 'StatefulSet', 'postgres', /postgres:[^"]*"/, 'postgres:latest"')),
    /latest is another one tomorrow/,
  ],
  [
    'no limit',
    () => hardeningProblems(planted('dev', 'Deployment', 'imap', '"limits":{"cpu":"2",', '"limits":{')),
    /imap: postbus has no limit/,
  ],
  [
    'no liveness',
    () => hardeningProblems(planted('dev', 'Deployment', 'imap', '"livenessProbe"', '"livenesProbe"')),
    /has no livenessProbe/,
  ],
  [
    'links among the settings',
    () =>
      hardeningProblems(
        planted('dev', 'Deployment', 'imap', '"enableServiceLinks":false', '"enableServiceLinks":true'),
      ),
    /links to Services/,
  ],
  [
    'a token nobody needs',
    () =>
      hardeningProblems(
        planted(
          'dev',
          'Deployment',
          'imap',
          '"automountServiceAccountToken":false',
          '"automountServiceAccountToken":true',
        ),
      ),
    /gets a token/,
  ],
  [
    'a rollout that takes one away first',
    () => hardeningProblems(planted('dev', 'Deployment', 'imap', '"maxUnavailable":0', '"maxUnavailable":1')),
    /fewer pods/,
  ],
  [
    'no budget',
    () => hardeningProblems(without('dev', 'PodDisruptionBudget', 'imap')),
    /imap: has 0 PodDisruptionBudgets/,
  ],
  [
    'an end before the drain',
    () =>
      drainProblems(
        planted(
          'dev',
          'Deployment',
          'imap',
          '"terminationGracePeriodSeconds":45',
          '"terminationGracePeriodSeconds":30',
        ),
      ),
    /imap: is killed before/,
  ],
  [
    'a flow nobody allows',
    () => flowProblems(without('dev', 'NetworkPolicy', 'database-clients')),
    /custody → postgres TCP 5432: needed/,
  ],
  [
    'a door the bus keeps shut',
    () => flowProblems(planted('dev', 'NetworkPolicy', 'nats', '"port":4222', '"port":4223')),
    /router → nats TCP 4222: needed/,
  ],
  ['no names', () => flowProblems(without('dev', 'NetworkPolicy', 'dns')), /router → DNS UDP 53: needed/],
  [
    'a way out for all',
    () =>
      flowProblems(
        planted(
          'dev',
          'NetworkPolicy',
          'dns',
          /"ports":\[.*?\],"to":\[.*?\]\}\]/,
          '"to":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]',
        ),
      ),
    /router → anybody TCP 25: allowed/,
  ],
  ['no default', () => flowProblems(without('dev', 'NetworkPolicy', 'default-deny')), /→ router TCP 9090: allowed/],
  [
    'another version',
    () => versionProblems(planted('dev', 'Deployment', 'imap', /postbus:[\d.]+"/, 'postbus:9.9.9"')),
    /imap: postbus:9\.9\.9 is not/,
  ],
]

for (const [what, problems, finding] of faults) {
  test(`found: ${what}`, async () => {
    const found = await problems()
    assert.ok(
      found.some((problem) => finding.test(problem)),
      `${String(finding)} is not among: ${found.join('; ')}`,
    )
  })
}

test('a manifest that is no YAML is named', () => {
  assert.throws(() => parseManifests('a: [b'), /flow/i)
})
