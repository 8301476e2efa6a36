import assert from 'node:assert/strict'
import { test } from 'node:test'

import { z } from 'zod'

import { dnsOptions, dnsSettings } from './settings.ts'

const schema = z.object(dnsSettings)

test('name servers are read from the setting, and a name among them is refused', () => {
  const { servers } = dnsOptions(schema.parse({ DNS_SERVERS: '127.0.0.1:5353, [::1]:53' }))
  assert.deepEqual(servers, [
    { address: '127.0.0.1', port: 5353 },
    { address: '::1', port: 53 },
  ])
  assert.deepEqual(dnsOptions(schema.parse({})).servers, [])
  assert.match(schema.safeParse({ DNS_SERVERS: '127.0.0.1,ns.test:53' }).error?.message ?? '', /ns\.test:53/)
})
