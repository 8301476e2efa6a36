/** A name server for tests that knows TXT records: NXDOMAIN for other names, SERVFAIL for all while it is broken. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'

import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet'

const SERVFAIL = 2
const NXDOMAIN = 3

export interface TextDns {
  /** address:port */
  server: string
  /** By name; a record's strings. */
  records: Map<string, string[]>
  broken: boolean
}

export async function startTextDns(t: TestContext): Promise<TextDns> {
  const socket = createSocket('udp4')
  const dns: TextDns = { server: '', records: new Map(), broken: false }
  socket.on('message', (packet, { address, port }) => {
    const { id, questions = [] } = decode(packet)
    const name = questions[0]?.name.toLowerCase() ?? ''
    const data = dns.records.get(name)
    const rcode = dns.broken ? SERVFAIL : data === undefined ? NXDOMAIN : 0
    const answers = rcode === 0 && data ? [{ type: 'TXT' as const, name, ttl: 0, data }] : []
    const flags = AUTHORITATIVE_ANSWER | rcode
    socket.send(encode({ type: 'response', id: id ?? 0, flags, questions, answers }), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  dns.server = `127.0.0.1:${socket.address().port}`
  return dns
}
