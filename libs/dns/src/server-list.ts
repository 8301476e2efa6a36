/**
 * Which servers are asked, and in which order: as listed (or from the next one on, each time, when they are to share the work), and
 * those that lately did not answer last. A list from the system is read again when its file has changed.
 */
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'

export interface Server {
  address: string
  port: number
}

export interface ServerList {
  /** Never empty. */
  order(): Promise<readonly Server[]>
  /** It did not answer: others are asked first for a while. */
  silent(server: Server): void
  answered(server: Server): void
}

export interface ServerListOptions {
  /** None: those of `systemFile`. */
  servers: readonly Server[]
  /** The form of resolv.conf(5); only `nameserver` and `options rotate` count. */
  systemFile: string
  /** Each question begins with the next server. */
  rotate: boolean
  now(): number
}

/** A server that did not answer is asked last for so long. */
const SILENT_MS = 30_000
/** How often the system's file may be looked at. */
const LOOK_MS = 5000
/** RFC 1035 §4.2. */
const PORT = 53
/** Of the system's file, as resolv.conf(5) has it for other programs. */
const MAX_SYSTEM_SERVERS = 3
/** What resolv.conf(5) says of a file without servers. */
const LOCAL: Server = { address: '127.0.0.1', port: PORT }

export const serverName = ({ address, port }: Server): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`. Null where it is none of them. */
export function parseServer(text: string): Server | null {
  if (isIP(text) !== 0) return { address: text, port: PORT }
  const [, bracketed, plain, digits] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const address = bracketed ?? plain
  const port = digits === undefined ? PORT : Number(digits)
  if (address === undefined || isIP(address) !== (bracketed === undefined ? 4 : 6)) return null
  return port >= 1 && port <= 65_535 ? { address, port } : null
}

export function serverList({ servers, systemFile, rotate, now }: ServerListOptions): ServerList {
  const silentUntil = new Map<string, number>()
  const system = servers.length === 0 ? systemServers(systemFile, now) : null
  let turn = 0
  return {
    async order() {
      const current = system === null ? { servers, rotate } : await system()
      const first = rotate || current.rotate ? turn++ % current.servers.length : 0
      const list = [...current.servers.slice(first), ...current.servers.slice(0, first)]
      const isSilent = (server: Server): boolean => (silentUntil.get(serverName(server)) ?? 0) > now()
      return [...list.filter((server) => !isSilent(server)), ...list.filter(isSilent)]
    },
    silent(server) {
      silentUntil.set(serverName(server), now() + SILENT_MS)
    },
    answered(server) {
      silentUntil.delete(serverName(server))
    },
  }
}

interface SystemServers {
  servers: readonly Server[]
  rotate: boolean
}

/** What the file says; while it cannot be read, what it said last. */
function systemServers(file: string, now: () => number): () => Promise<SystemServers> {
  let known: SystemServers = { servers: [LOCAL], rotate: false }
  let version = ''
  let looked = -Infinity
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    try {
      const { mtimeMs, ino, size } = await stat(file)
      if (`${mtimeMs} ${ino} ${size}` === version) return
      known = parseSystemFile(await readFile(file, 'utf8'))
      version = `${mtimeMs} ${ino} ${size}`
    } catch {
      // Gone or being replaced: nothing better is known than before.
    } finally {
      looked = now()
      looking = undefined
    }
  }

  return async () => {
    if (looked + LOOK_MS <= now()) await (looking ??= look())
    return known
  }
}

export function parseSystemFile(text: string): SystemServers {
  const lines = text.split('\n').map((line) =>
    line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/),
  )
  const servers = lines
    .filter(([keyword]) => keyword === 'nameserver')
    .map(([, address = '']) => parseServer(address))
    .filter((server) => server !== null)
    .slice(0, MAX_SYSTEM_SERVERS)
  const rotate = lines.some(([keyword, ...options]) => keyword === 'options' && options.includes('rotate'))
  return { servers: servers.length > 0 ? servers : [LOCAL], rotate }
}
