/**
 * A slow site, a dead one and a healthy one in the same lane. Short by default; POSTBUS_TEST_LONG=1 makes it 10,000 messages for
 * each. The rates are printed, not asserted: they are the machine's too.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'

import { laneOf } from '@postbus/contracts'

import { platform, queueId } from './platform.ts'

const LONG = process.env['POSTBUS_TEST_LONG'] !== undefined
const MESSAGES = LONG ? 10_000 : 600
const SLOW_MS = 30_000
/** The healthy site's answer to a message, as over a long line: it, and not the processors that all sites share, bounds its rate. */
const HEALTHY_MS = 50

/** Answers every line, and the connection itself, after so long. */
async function slowHost(t: TestContext): Promise<number> {
  const sockets = new Set<Socket>()
  const timers = new Set<NodeJS.Timeout>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    const later = (line: string): void => void timers.add(setTimeout(() => socket.write(line), SLOW_MS))
    later('220 slow.test\r\n')
    socket.on('data', () => later('250 ok\r\n'))
  })
  return listen(t, server, () => {
    for (const timer of timers) clearTimeout(timer)
    for (const socket of sockets) socket.destroy()
  })
}

async function listen(
  t: TestContext,
  server: ReturnType<typeof createServer>,
  close = (): void => {},
): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    close()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  server.close()
  await once(server, 'close')
  return address.port
}

/** How many match, looking at each of a growing list once. */
function counting<Item>(items: readonly Item[], matches: (item: Item) => boolean): () => number {
  let seen = 0
  let count = 0
  return () => {
    for (const item of items.slice(seen)) if (matches(item)) count++
    seen = items.length
    return count
  }
}

/** Names whose lane is that of the first. */
function sitesOfOneLane(count: number): string[] {
  const names = ['site0.test']
  for (let number = 1; names.length < count; number++) {
    if (laneOf(`site${number}.test`) === laneOf('site0.test')) names.push(`site${number}.test`)
  }
  return names
}

test(
  `a slow and a dead site in its lane do not hold up a healthy one (${MESSAGES} messages each)`,
  { timeout: 900_000 },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t, { slowMs: HEALTHY_MS })
    const [healthy = '', slow = '', dead = ''] = sitesOfOneLane(3)
    const ports = { [healthy]: sink.port, [slow]: await slowHost(t), [dead]: await deadPort() }
    // Fewer in hand than any of the sites has, so that they can only come through where the others make room.
    const settings = { DELIVERY_RETRY_FIRST_MS: '3600000', ...(!LONG && { DELIVERY_LANE_IN_FLIGHT: '200' }) }

    /** Waiting on the bus before the replica begins, one of each site after the other. @returns healthy messages a second */
    const rateOf = async (id: string, sites: string[]): Promise<number> => {
      const relayed = counting(statuses, (status) => status.queueId === id && status.kind === 'relayed')
      const deferred = counting(statuses, ({ kind }) => kind === 'deferred')
      const paths = Array.from({ length: MESSAGES }, (_, index) =>
        sites.map((site) => `dotslow${index}@${site}`),
      ).flat()
      await send(id, paths, (path) => ({
        via: `smtp:127.0.0.1:${ports[path.slice(path.indexOf('@') + 1)]}`,
        // A message of its own for each, though they share a record.
        envid: path,
      }))
      let began = 0
      const replica = await delivery(settings)
      await until(() => relayed() > 0 && (began = performance.now()) > 0)
      await until(() => relayed() === MESSAGES)
      const rate = (1000 * MESSAGES) / (performance.now() - began)
      const [spilled, suspended] = await Promise.all([
        replica.metric('mail_delivery_spilled_total'),
        replica.metric('mail_delivery_suspended_total'),
      ])
      t.diagnostic(
        `${sites.length} sites: ${rate.toFixed(0)} healthy messages/s, ${spilled} spilled, ${suspended} suspended`,
      )
      if (sites.length > 1) {
        await until(() => deferred() === MESSAGES)
        assert.ok(suspended > MESSAGES / 2 && spilled > MESSAGES / 2)
      }
      await replica.stop()
      return rate
    }

    await rateOf(queueId(1), [healthy]) // Code and caches are warm then.
    const alone = await rateOf(queueId(2), [healthy])
    const beside = await rateOf(queueId(3), [healthy, slow, dead])
    t.diagnostic(`${((100 * beside) / alone).toFixed(0)} % of the rate alone`)
    assert.equal(sink.messages.length, 3 * MESSAGES)
    const told = statuses.filter(({ queueId: id, kind }) => id === queueId(3) && kind === 'deferred')
    assert.ok(told.every((status) => status.kind === 'deferred' && status.status === '4.4.1'))
  },
)
