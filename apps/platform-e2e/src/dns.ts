/** A name server for one scenario: A, MX and null MX from lines of a zone, NXDOMAIN for what is not in it, over UDP. */
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, RECURSION_AVAILABLE } from 'dns-packet'

export interface DnsServer {
  /** `host:port`, for DNS_SERVERS. */
  address: string
  /** From now on for a name, or all (`*`); null ends it. */
  fault(name: string, fault: 'servfail' | null): void
}

const TTL_S = 1
const RCODE = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const

/** @param zoneText lines like `far.test. MX 10 mx1.far.test.` and `mx1.far.test. A 127.0.0.2`; `.` is the null MX */
export async function startDnsServer(t: TestContext, zoneText: string): Promise<DnsServer> {
  const zone = zoneText.split('\n').flatMap(recordOf)
  const faults = new Set<string>()
  const socket = createSocket('udp4')
  socket.on('message', (packet, { port, address }) => {
    const { id, questions = [] } = decode(packet)
    const [question] = questions
    const name = question?.name.toLowerCase() ?? ''
    const ofName = zone.filter((record) => record.name === name)
    const fails = faults.has('*') || faults.has(name)
    const rcode = fails ? RCODE.SERVFAIL : ofName.length > 0 ? RCODE.NOERROR : RCODE.NXDOMAIN
    const answers = fails ? [] : ofName.filter(({ type }) => type === question?.type)
    const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | rcode
    socket.send(encode({ type: 'response', ...(id !== undefined && { id }), flags, questions, answers }), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  const { port } = socket.address() as AddressInfo // Bound to UDP.
  return {
    address: `127.0.0.1:${port}`,
    fault: (name, fault) => void (fault === null ? faults.delete(name) : faults.add(name)),
  }
}

const bare = (name: string): string => name.toLowerCase().replace(/(?<=.)\.$/, '')

function recordOf(line: string): Answer[] {
  const [owner = '', type, ...data] = line.trim().split(/\s+/)
  const name = bare(owner)
  if (type === 'A') return [{ name, type, ttl: TTL_S, data: data[0] ?? '' }]
  if (type === 'MX')
    return [{ name, type, ttl: TTL_S, data: { preference: Number(data[0]), exchange: bare(data[1] ?? '') } }]
  if (owner === '') return []
  throw new Error(`not a record this server knows: ${line}`)
}
