/**
 * A loopback port for one server, which nobody else of the tests takes while this process lives: neither before the server listens, nor
 * while it is stopped to be started again on the same port.
 *
 * Below those the system gives to connections (32768 on Linux), which would take it in between. Two processes that look at the same
 * moment find different ones, because each holds the UDP port of the same number. Platforms of the scenarios have no port that ends like
 * these.
 */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const LOWEST = 100
const HIGHEST = 320
/** The last two digits. */
const ENDINGS = { min: 66, max: 86 }
const TRIES = 1000

/** @param host on which it has to be free; `0.0.0.0` for all addresses of this machine */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = 100 * randomInt(LOWEST, HIGHEST) + randomInt(ENDINGS.min, ENDINGS.max + 1)
    if ((await claimed(port, host)) && (await isFree(port, host))) return port
  }
  throw new Error('no port')
}

/** @returns whether it is ours among all who ask, until this process ends, however it ends */
export async function claimed(port: number, host = '127.0.0.1'): Promise<boolean> {
  const claim = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  try {
    claim.bind({ port, address: host, exclusive: true })
    await once(claim, 'listening')
    claim.unref()
    return true
  } catch {
    claim.close()
    return false
  }
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch {
    return false
  }
  await once(server.close(), 'close')
  return true
}
