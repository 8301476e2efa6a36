/**
 * trial — runs an overlay on this machine as a cluster would, from the built image, with nothing but the rendered manifests:
 *
 *   node tools/k8s/trial/main.ts [--image .cache/image] [--keep] [--only keys,nats,…] [--load 200]
 *
 * Every container of every pod is started with its own network, file system, user, volumes and environment; network policies are enforced;
 * Jobs run to their end; probes are asked as a kubelet would. Then mail is sent and read, pods are killed and cut off, mail is sent and read
 * again, and everything is stopped in its grace. What is not here: a scheduler, rollouts, volumes that move, load balancers.
 *
 * Linux, as root, with iproute2, nftables and Debian's PostgreSQL; deploy/image/build.sh first.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { z } from 'zod'

import { NetworkPolicy } from '../flows.ts'
import { Manifest, ofKind, overlayDir, render, repository, workloads } from '../manifests.ts'
import { serveSecrets } from './api.ts'
import { images } from './images.ts'
import { addresses, joinNetwork, makeNetwork, plug, podAddress, removeNetwork } from './machine.ts'
import { exchangeMail, prepareAccounts } from './mail.ts'
import { NotYet, Pod, until, type Cluster } from './pod.ts'
import { rulesFor } from './policies.ts'

const { values: options } = parseArgs({
  options: {
    image: { type: 'string', default: join(repository, '.cache', 'image') },
    keep: { type: 'boolean', default: false },
    only: { type: 'string' },
    load: { type: 'string', default: '200' },
  },
})

const API_PORT = 6443
const JOB_TRIES = 20
/** As a Deployment's progressDeadlineSeconds: a machine may have other work. */
const READY_MS = 1_200_000
const AGAIN_MS = 600_000
const RETRY_MS = 1_000

const ConfigMap = Manifest.extend({ data: z.record(z.string(), z.string()).optional() })

const manifests = await render(overlayDir('dev'))
const policies = ofKind(manifests, 'NetworkPolicy', NetworkPolicy)
const configMaps = new Map(
  ofKind(manifests, 'ConfigMap', ConfigMap).map(({ metadata, data }) => [metadata.name, data ?? {}]),
)
const work = await mkdtemp(join(tmpdir(), 'postbus-trial-'))

const only = options.only?.split(',')
const planned = workloads(manifests)
  .filter(({ name }) => only?.some((part) => name.startsWith(part)) ?? true)
  .flatMap((workload) =>
    Array.from({ length: workload.replicas }, (_, copy) => ({ workload, name: `${workload.name}-${copy}` })),
  )
const placed = planned.map((pod, index) => ({ ...pod, index, address: podAddress(index), labels: pod.workload.labels }))

await makeNetwork()
const api = await serveSecrets(addresses.api, API_PORT, 'postbus')
const cluster: Cluster = {
  secret: (name) => api.secret(name),
  configMap: (name) => configMaps.get(name),
  account: api.account,
  hosts: new Map(
    placed.flatMap(({ workload, name, address }) =>
      workload.serviceName === undefined
        ? []
        : [[`${name}.${workload.serviceName}`, address] as const, [workload.serviceName, address] as const],
    ),
  ),
  image: await images(options.image),
  env: { KUBERNETES_SERVICE_HOST: addresses.api, KUBERNETES_SERVICE_PORT: String(API_PORT) },
}

const pods = placed.map(({ workload, name, index, address, labels }) => ({
  ...{ workload, index, labels },
  pod: new Pod({ name, spec: workload.pod, index, address, dir: join(work, name), cluster }),
  restarts: 0,
  isWanted: true,
}))
type Placed = (typeof pods)[number]

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** As a kubelet keeps a pod: started when what it mounts is there, and started again when it ends. */
async function keep(placed: Placed): Promise<void> {
  const { pod, workload } = placed
  for (let attempt = 0; placed.isWanted; attempt++) {
    try {
      await pod.start()
    } catch (error) {
      if (error instanceof NotYet) {
        await pause(RETRY_MS)
        continue
      }
      throw error
    }
    const code = await pod.exited
    if (workload.kind === 'Job' && code === 0) return
    if (!placed.isWanted) return
    if (workload.kind === 'Job' && attempt >= JOB_TRIES)
      throw new Error(`${pod.name}: failed ${attempt} times, at last with ${code}`)
    placed.restarts++
    say(`${pod.name} ended with ${code} and is started again`)
    await pause(RETRY_MS)
  }
}

const isServing = ({ workload }: Placed): boolean => workload.kind !== 'Job'
const serving = pods.filter(isServing)
const podsOf = (name: string): Placed[] => serving.filter(({ workload }) => workload.name === name)
const allReady = async (): Promise<boolean> =>
  (await Promise.all(serving.map(({ pod }) => pod.isReady().catch(() => false)))).every((isReady) => isReady)

/** What each service costs a message; half of them come by submission, half by MX, a fifth has 600 kB. */
async function measure(count: number, exchange: (count: number) => Promise<string>): Promise<void> {
  const totals = async (): Promise<Map<string, number>> => {
    const sums = new Map<string, number>()
    for (const { workload, pod } of serving)
      sums.set(workload.name, (sums.get(workload.name) ?? 0) + (await pod.cpuMs()))
    return sums
  }
  const before = await totals()
  const began = performance.now()
  say(`\nmeasured: ${await exchange(count)}`)
  const seconds = (performance.now() - began) / 1000
  say('service      CPU ms per message')
  for (const [name, ms] of await totals())
    say(`${name.padEnd(13)}${((ms - (before.get(name) ?? 0)) / count).toFixed(1)}`)
  say(`(in ${seconds.toFixed(0)} s; what services do by themselves meanwhile is in it)\n`)
}

/** Nothing outlives a trial that is broken off. */
const broken = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(signal)))
})
broken.catch(() => undefined)

async function runTrial(): Promise<void> {
  for (const { index, labels } of placed) await joinNetwork(index, rulesFor(labels, policies, placed))
  const kept = Promise.all(pods.map(keep))
  const readyMs = new Map<string, number>()
  const began = performance.now()
  await Promise.race([
    Promise.all(
      serving.map(async ({ pod }) => {
        await until(`${pod.name} is ready`, READY_MS, () => pod.isReady().catch(() => false))
        readyMs.set(pod.name, performance.now() - began)
      }),
    ),
    kept.then(() => {
      throw new Error('everything ended')
    }),
  ])
  say(`${serving.length} pods ready after ${Math.round((performance.now() - began) / 1000)} s`)

  if (only !== undefined) throw new Error('these were all')

  const operator = podsOf('operator')[0]?.pod
  const ca = api.secret('mail-tls')?.['ca.crt']
  if (operator === undefined || ca === undefined) throw new Error('no operator, or no certificates')
  const accounts = await prepareAccounts(operator)
  const reach = { ca, from: addresses.world, at: (service: string) => podsOf(service).map(({ pod }) => pod.address) }
  say(`mail sent and read: ${await exchangeMail(reach, accounts, 20)}`)

  await measure(Number(options.load), (count) => exchangeMail(reach, accounts, count))

  for (const name of ['router', 'mailstore', 'directory', 'custody', 'delivery', 'nats']) {
    const victim = podsOf(name)[0]
    await victim?.pod.kill()
    say(`${name}: one killed; mail sent and read: ${await exchangeMail(reach, accounts, 10)}`)
    await until('all ready again', AGAIN_MS, allReady)
  }
  await podsOf('postgres')[0]?.pod.kill()
  await until('all ready again', AGAIN_MS, allReady)
  say(`postgres: killed and back; mail sent and read: ${await exchangeMail(reach, accounts, 10)}`)

  const isolated = [podsOf('nats')[1], podsOf('custody')[1], podsOf('mailstore')[1], podsOf('router')[1]]
  for (const placed of isolated) if (placed) await plug(placed.index, false)
  say(
    `a node cut off (nats-1 and one each of custody, mailstore, router); mail sent and read: ${await exchangeMail(reach, accounts, 10)}`,
  )
  for (const placed of isolated) if (placed) await plug(placed.index, true)
  await until('all ready again', AGAIN_MS, allReady)

  say(`\n${'pod'.padEnd(16)}ready after  restarts  memory of limit  ends with`)
  for (const placed of [...serving].reverse()) {
    const { pod, restarts } = placed
    const memory = await pod.memory()
    const limit = pod.spec.containers[0]?.resources?.limits?.memory ?? ''
    placed.isWanted = false
    const { code, ms } = await pod.stop()
    const columns = [
      `${Math.round((readyMs.get(pod.name) ?? 0) / 1000)} s`.padEnd(13),
      String(restarts).padEnd(10),
      `${Math.round(memory / 2 ** 20)} MiB of ${limit}`.padEnd(17),
      `${code} in ${(ms / 1000).toFixed(1)} s`,
    ]
    say(pod.name.padEnd(16) + columns.join(''))
    if (code !== 0 && !['nats', 'postgres'].includes(placed.workload.name))
      throw new Error(`${pod.name} ended with ${code}`)
  }
}

let exitCode = 1
try {
  await Promise.race([runTrial(), broken])
  exitCode = 0
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  for (const { pod } of serving)
    if (!(await pod.isReady().catch(() => false))) say(`not ready: ${pod.name}, see ${join(work, pod.name)}`)
} finally {
  for (const placed of pods) placed.isWanted = false
  await Promise.all(pods.map(({ pod }) => pod.kill()))
  await api.close()
  await removeNetwork()
  if (options.keep || exitCode !== 0) say(`logs and volumes: ${work}`)
  else await rm(work, { recursive: true, force: true })
}
process.exit(exitCode)
