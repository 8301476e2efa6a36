/**
 * The node of the trial: a bridge, a network namespace with an address for every pod, and commands as root. Everything has the trial's
 * prefix and is taken away at the end.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

const BRIDGE = 'postbus-trial'
const NETWORK = '10.213.0'
const MAX_OUTPUT_BYTES = 16 * 1024 ** 2

/** Addresses outside pods. Kubelets' probes come from the node; `world` is anybody. */
export const addresses = {
  node: `${NETWORK}.1`,
  dns: `${NETWORK}.2`,
  api: `${NETWORK}.3`,
  world: `${NETWORK}.4`,
} as const

const FIRST_POD = 10
export const podAddress = (index: number): string => `${NETWORK}.${FIRST_POD + index}`

export async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(command, args, { maxBuffer: MAX_OUTPUT_BYTES })
  return stdout
}

const ignoringFailure = async (command: string, ...args: string[]): Promise<void> => {
  await run(command, ...args).catch(() => undefined)
}

export async function makeNetwork(): Promise<void> {
  await removeNetwork()
  await run('ip', 'link', 'add', BRIDGE, 'type', 'bridge')
  for (const address of Object.values(addresses)) await run('ip', 'address', 'add', `${address}/24`, 'dev', BRIDGE)
  await run('ip', 'link', 'set', BRIDGE, 'up')
}

const namespaceOf = (index: number): string => `${BRIDGE}-${index}`
export const namespacePath = (index: number): string => `/run/netns/${namespaceOf(index)}`

/** @param rules of nft, for the namespace of this pod alone */
export async function joinNetwork(index: number, rules: string): Promise<void> {
  const namespace = namespaceOf(index)
  const [outside, inside] = [`pbt${index}`, `pbt${index}i`]
  await run('ip', 'netns', 'add', namespace)
  await run('ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', inside)
  await run('ip', 'link', 'set', inside, 'netns', namespace, 'name', 'eth0')
  await run('ip', 'link', 'set', outside, 'master', BRIDGE, 'up')
  const within = (...args: string[]): Promise<string> => run('ip', '-n', namespace, ...args)
  await within('link', 'set', 'lo', 'up')
  await within('address', 'add', `${podAddress(index)}/24`, 'dev', 'eth0')
  await within('link', 'set', 'eth0', 'up')
  await within('route', 'add', 'default', 'via', addresses.node)
  await run('ip', 'netns', 'exec', namespace, 'nft', rules)
}

/** Cuts a pod off, as a broken cable does, or joins it again. */
export const plug = (index: number, isIn: boolean): Promise<string> =>
  run('ip', 'link', 'set', `pbt${index}`, isIn ? 'up' : 'down')

export async function removeNetwork(): Promise<void> {
  const namespaces = (await run('ip', 'netns', 'list')).matchAll(new RegExp(`^${BRIDGE}-\\d+`, 'gm'))
  for (const [name] of namespaces) await ignoringFailure('ip', 'netns', 'delete', name)
  // The kernel takes its time with a namespace's links; the names are wanted again at once.
  const links = (await run('ip', '-brief', 'link', 'show', 'type', 'veth')).matchAll(/^pbt\d+/gm)
  for (const [name] of links) await ignoringFailure('ip', 'link', 'delete', name)
  await ignoringFailure('ip', 'link', 'delete', BRIDGE)
}
