/**
 * One pod, as a kubelet would run it: the image's file system read-only, volumes where the manifest mounts them, the environment it names,
 * its user without any rights, its own network and processes; probes, preStop, SIGTERM, and SIGKILL when grace is over.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, chown, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { z } from 'zod'

import type { Container, PodSpec, Volume } from '../manifests.ts'
import { namespacePath } from './machine.ts'

const execute = promisify(execFile)

export interface Image {
  /** Its unpacked file system. */
  root: string
  entrypoint: string[]
  workdir: string
  env: Record<string, string>
  /** Directories of this machine that are part of it. */
  binds?: string[]
}

export interface Cluster {
  secret(name: string): Record<string, string> | undefined
  configMap(name: string): Record<string, string> | undefined
  account: Record<string, string>
  /** Names of Services and of pods with names, by address. */
  hosts: Map<string, string>
  image(reference: string): Image
  /** What every container finds in its environment. */
  env: Record<string, string>
}

const HttpGet = z.object({ path: z.string(), port: z.union([z.string(), z.number()]) })
const Exec = z.object({ command: z.array(z.string()) })
const Handler = z.looseObject({
  httpGet: HttpGet.loose().optional(),
  exec: Exec.loose().optional(),
  sleep: z.object({ seconds: z.number() }).optional(),
  timeoutSeconds: z.number().optional(),
})

/** Something this pod mounts or names is not there yet. */
export class NotYet extends Error {
  override readonly name = 'NotYet'
}

const ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount'
const POLL_MS = 250
/** USER_HZ is 100 on every Linux there is. */
const MS_PER_TICK = 10

interface Running {
  container: Container
  child: ChildProcess
  exited: Promise<number>
}

export class Pod {
  readonly name: string
  readonly address: string
  readonly spec: PodSpec
  readonly #index: number
  readonly #dir: string
  readonly #cluster: Cluster
  #running: Running[] = []

  constructor(options: { name: string; spec: PodSpec; index: number; address: string; dir: string; cluster: Cluster }) {
    this.name = options.name
    this.spec = options.spec
    this.address = options.address
    this.#index = options.index
    this.#dir = options.dir
    this.#cluster = options.cluster
  }

  /** Init containers one after the other, then the others together. @throws NotYet when a Secret is missing */
  async start(): Promise<void> {
    await this.#volumes()
    for (const container of this.spec.initContainers ?? []) {
      const code = await (await this.#launch(container)).exited
      if (code !== 0) throw new Error(`${this.name}: ${container.name} ended with ${code}`)
    }
    this.#running = []
    for (const container of this.spec.containers) this.#running.push(await this.#launch(container))
  }

  /** Resolves with the first container's exit status, 128 + signal when it was killed. */
  get exited(): Promise<number> {
    return this.#first.exited
  }

  async isReady(): Promise<boolean> {
    return (await this.probe('startupProbe')) && (await this.probe('readinessProbe'))
  }

  async probe(which: 'startupProbe' | 'readinessProbe' | 'livenessProbe'): Promise<boolean> {
    const { container } = this.#first
    const { httpGet, exec, timeoutSeconds = 1 } = Handler.parse(container[which] ?? {})
    if (exec)
      return this.exec(exec.command).then(
        () => true,
        () => false,
      )
    if (!httpGet) return true
    const port = container.ports?.find(({ name }) => name === httpGet.port)?.containerPort ?? httpGet.port
    const signal = AbortSignal.timeout(timeoutSeconds * 1000)
    return fetch(`http://${this.address}:${port}${httpGet.path}`, { signal }).then(
      async (response) => {
        await response.body?.cancel()
        return response.ok
      },
      () => false,
    )
  }

  /** In the first container, as its user and in its environment: what `kubectl exec` does. @returns what it printed */
  async exec(command: string[]): Promise<string> {
    const pid = await this.pid()
    const { runAsUser = 0, runAsGroup = 0 } = this.spec.securityContext ?? {}
    const { workdir } = this.#cluster.image(this.#first.container.image)
    const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').map((entry) => entry.split('='))
    const { stdout } = await execute(
      'nsenter',
      [
        ...['--target', String(pid), '--mount', '--net', '--pid', '--root', `--wdns=${workdir}`],
        ...['--setgid', String(runAsGroup), '--setuid', String(runAsUser), ...command],
      ],
      { env: Object.fromEntries(environment.map(([name = '', ...value]) => [name, value.join('=')])) },
    )
    return stdout
  }

  /** Of the first container's own process, seen from here. */
  pid(): Promise<number> {
    return innerPid(this.#first.child)
  }

  /** Octets of memory, of the first container's process. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${await this.pid()}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }

  /** Time on a processor since the start (ms), of every process in the pod's namespace and those that ended in it. */
  async cpuMs(): Promise<number> {
    const namespace = await readlink(`/proc/${await this.pid()}/ns/pid`)
    let ticks = 0
    for (const pid of await readdir('/proc')) {
      if (!/^\d+$/.test(pid) || (await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) !== namespace) continue
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // proc(5): utime, stime, cutime, cstime are 14 to 17; the name before them may hold blanks.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      for (const field of fields.slice(11, 15)) ticks += Number(field)
    }
    return ticks * MS_PER_TICK
  }

  /** The process itself, not what started it: --kill-child is forgotten when the user changes. Whatever else is in its namespace goes along. */
  async kill(): Promise<void> {
    for (const { child } of this.#running) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      try {
        process.kill(await innerPid(child), 'SIGKILL')
      } catch {
        // It ended meanwhile.
      }
    }
    await Promise.all(this.#running.map(({ exited }) => exited))
  }

  /** As the kubelet ends a pod. @returns the exit status, and how long it took (ms) */
  async stop(): Promise<{ code: number; ms: number }> {
    const began = performance.now()
    const graceMs = (this.spec.terminationGracePeriodSeconds ?? 30) * 1000
    const { container, exited } = this.#first
    const { sleep, exec } = Handler.parse(container.lifecycle?.preStop ?? {})
    if (sleep) await pause(sleep.seconds * 1000)
    let isOver = false
    void exited.then(() => (isOver = true))
    if (exec) {
      await this.exec(exec.command).catch(async (error: unknown) => {
        // A hook that ends the container ends with it.
        await Promise.race([exited, pause(1000)])
        if (!isOver) throw error
      })
    }
    if (!isOver) process.kill(await this.pid(), 'SIGTERM')
    const late = new AbortController()
    const code = await Promise.race([
      exited,
      pause(graceMs - (performance.now() - began), null, { signal: late.signal }).catch(() => null),
    ])
    late.abort()
    await this.kill()
    return { code: code ?? 137, ms: performance.now() - began }
  }

  get #first(): Running {
    const [first] = this.#running
    if (first === undefined) throw new Error(`${this.name} does not run`)
    return first
  }

  async #launch(container: Container): Promise<Running> {
    const image = this.#cluster.image(container.image)
    const env = { ...image.env, ...this.#cluster.env, HOSTNAME: this.name, ...this.#environment(container) }
    const command = [...(container.command ?? image.entrypoint), ...(container.args ?? [])].map((word) =>
      expand(word, env),
    )
    const { runAsUser = 0, runAsGroup = 0 } = this.spec.securityContext ?? {}
    const dir = join(this.#dir, container.name)
    for (const part of ['upper', 'work', 'root']) await mkdir(join(dir, part), { recursive: true })
    const root = join(dir, 'root')
    const lines = [
      `mount -t overlay overlay -o lowerdir=${image.root},upperdir=${dir}/upper,workdir=${dir}/work ${root}`,
      `mkdir -p ${root}/proc ${root}/dev ${root}/etc`,
      `mount --rbind /dev ${root}/dev`,
      ...(image.binds ?? []).map((path) => `mkdir -p ${root}${path} && mount --bind -o ro ${path} ${root}${path}`),
      ...['hosts', 'resolv.conf'].map(
        (file) =>
          `rm -f ${root}/etc/${file}; touch ${root}/etc/${file}; mount --bind ${this.#dir}/${file} ${root}/etc/${file}`,
      ),
      ...this.#mounts(container).map(
        ([from, to, readOnly]) =>
          `mkdir -p ${root}${to} && mount --bind ${from} ${root}${to}${readOnly ? ` && mount -o remount,bind,ro ${root}${to}` : ''}`,
      ),
      `mount -t proc proc ${root}/proc`,
      ...(container.securityContext?.readOnlyRootFilesystem ? [`mount -o remount,ro ${root}`] : []),
      [
        `exec nsenter --net=${namespacePath(this.#index)} setpriv --no-new-privs --clear-groups`,
        `unshare --root=${root} --wd=${image.workdir} --setgid ${runAsGroup} --setuid ${runAsUser} -- "$@"`,
      ].join(' '),
    ]
    // The pod's processes see each other when it says so: whoever comes second joins.
    const first = this.#running[0]
    const joins = this.spec.shareProcessNamespace === true && first !== undefined
    const around = joins
      ? ['nsenter', `--pid=/proc/${await this.pid()}/ns/pid`, 'unshare', '--mount', '--kill-child']
      : ['unshare', '--pid', '--fork', '--mount', '--kill-child']
    const script = ['set -e', ...lines].join('\n')
    const child = spawn(around[0] ?? '', [...around.slice(1), 'sh', '-c', script, 'sh', ...command], {
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const log = createWriteStream(join(this.#dir, `${container.name}.log`), { flags: 'a' })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    const exited = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : 137))
    return { container, child, exited }
  }

  #environment({ env = [], envFrom = [] }: Container): Record<string, string> {
    const all: Record<string, string> = {}
    for (const { configMapRef, secretRef } of envFrom) {
      if (configMapRef) Object.assign(all, this.#configMap(configMapRef.name))
      if (secretRef) Object.assign(all, this.#secret(secretRef.name))
    }
    const set: Record<string, string> = {}
    for (const { name, value, valueFrom } of env) {
      const { secretKeyRef, configMapKeyRef, fieldRef } = z
        .looseObject({ fieldRef: z.object({ fieldPath: z.string() }).loose().optional() })
        .extend({
          secretKeyRef: z.object({ name: z.string(), key: z.string() }).loose().optional(),
          configMapKeyRef: z.object({ name: z.string(), key: z.string() }).loose().optional(),
        })
        .parse(valueFrom ?? {})
      set[name] = secretKeyRef
        ? (this.#secret(secretKeyRef.name)[secretKeyRef.key] ?? '')
        : configMapKeyRef
          ? (this.#configMap(configMapKeyRef.name)[configMapKeyRef.key] ?? '')
          : fieldRef
            ? this.name
            : expand(value ?? '', set)
    }
    return { ...all, ...set }
  }

  #secret(name: string): Record<string, string> {
    const found = this.#cluster.secret(name)
    if (found === undefined) throw new NotYet(`Secret ${name}`)
    return found
  }

  #configMap(name: string): Record<string, string> {
    const found = this.#cluster.configMap(name)
    if (found === undefined) throw new NotYet(`ConfigMap ${name}`)
    return found
  }

  #mounts({ volumeMounts = [] }: Container): [from: string, to: string, readOnly: boolean][] {
    const mounts = volumeMounts.map(({ name, mountPath, readOnly }): [string, string, boolean] => [
      join(this.#dir, 'volumes', name),
      mountPath,
      readOnly === true,
    ])
    if (this.spec.automountServiceAccountToken === true)
      mounts.push([join(this.#dir, 'volumes', 'account'), ACCOUNT_DIR, true])
    // What is inside another is mounted after it.
    return mounts.sort(([, a], [, b]) => a.length - b.length)
  }

  async #volumes(): Promise<void> {
    const group = this.spec.securityContext?.fsGroup ?? 0
    await mkdir(this.#dir, { recursive: true })
    const hosts = [...this.#cluster.hosts].map(([name, address]) => `${address} ${name}`)
    await writeFile(
      join(this.#dir, 'hosts'),
      `127.0.0.1 localhost\n${this.address} ${this.name}\n${hosts.join('\n')}\n`,
    )
    await writeFile(join(this.#dir, 'resolv.conf'), '')
    const at = (name: string): string => join(this.#dir, 'volumes', name)
    const write = async (dir: string, files: [path: string, content: string][], mode: number): Promise<void> => {
      await mkdir(dir, { recursive: true })
      for (const [path, content] of files) {
        const file = join(dir, path)
        await mkdir(dirname(file), { recursive: true })
        await writeFile(file, content)
        await chown(file, 0, group)
        await chmod(file, mode)
      }
    }
    const picked = (
      data: Record<string, string>,
      items: { key: string; path: string }[] | undefined,
    ): [string, string][] => (items ? items.map(({ key, path }) => [path, data[key] ?? '']) : Object.entries(data))

    for (const volume of this.spec.volumes ?? []) {
      const files = this.#files(volume, picked)
      if (files === null) {
        await mkdir(at(volume.name), { recursive: true })
        await chown(at(volume.name), 0, group)
        await chmod(at(volume.name), 0o2777)
      } else {
        await write(at(volume.name), files, volume.secret?.defaultMode ?? volume.projected?.defaultMode ?? 0o644)
      }
    }
    if (this.spec.automountServiceAccountToken === true)
      await write(at('account'), Object.entries(this.#cluster.account), 0o644)
    // Claims: a disk of the pod's name, which stays.
    for (const { name } of this.spec.containers.flatMap(({ volumeMounts }) => volumeMounts ?? [])) {
      if (this.spec.volumes?.some((volume) => volume.name === name)) continue
      await mkdir(at(name), { recursive: true })
      await chown(at(name), 0, group)
      await chmod(at(name), 0o2775)
    }
  }

  /** Null: an empty directory. */
  #files(
    { secret, configMap, projected }: Volume,
    picked: (data: Record<string, string>, items: { key: string; path: string }[] | undefined) => [string, string][],
  ): [string, string][] | null {
    if (secret) return picked(this.#secret(secret.secretName), secret.items)
    if (configMap) return picked(this.#configMap(configMap.name), configMap.items)
    if (!projected) return null
    return projected.sources.flatMap((source) => [
      ...(source.secret ? picked(this.#secret(source.secret.name), source.secret.items) : []),
      ...(source.configMap ? picked(this.#configMap(source.configMap.name), source.configMap.items) : []),
    ])
  }
}

/** What `unshare` or `nsenter` started, or itself where it became that. */
async function innerPid({ pid }: ChildProcess): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return Number(children.trim().split(' ')[0]) || (pid ?? 0)
}

/** `$(NAME)`, where NAME is known; what is not stays as it is. */
const expand = (text: string, known: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => known[name] ?? whole)

/** Asks until it is so. @throws when patience ends */
export async function until(what: string, patienceMs: number, isSo: () => Promise<boolean>): Promise<number> {
  const began = performance.now()
  while (!(await isSo())) {
    if (performance.now() - began > patienceMs)
      throw new Error(`${what}: not within ${Math.round(patienceMs / 1000)} s`)
    await pause(POLL_MS)
  }
  return performance.now() - began
}
