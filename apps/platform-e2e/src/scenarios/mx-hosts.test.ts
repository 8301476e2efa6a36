/** Which host a message goes to, as DNS says: by preference, equal ones evenly, none with a null MX. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { smtpLoad } from '@postbus/testkit'

import { inTheBooks } from '../books.ts'
import { messages } from '../mailboxes.ts'
import { startOutbound, takenBy } from '../outbound.ts'
import { until } from '../platform.ts'
import { addAccounts } from '../postbus.ts'
import { reportOf, settled } from '../reports.ts'
import { submit } from '../sending.ts'

const COUNT = 1000
/** Of chi-square with two degrees of freedom: exceeded by chance once in a million runs. */
const UNLIKELY = 27.63

const ZONE = `
  fallback.test.  MX 10 away.test.
  fallback.test.  MX 20 broken.test.
  fallback.test.  MX 30 second.test.
  fallback.test.  MX 40 third.test.
  spread.test.    MX 10 first.test.
  spread.test.    MX 10 second.test.
  spread.test.    MX 10 third.test.
  spread.test.    MX 20 broken.test.
  implicit.test.  A  127.0.0.2
  nomail.test.    MX 0 .
  flaky.test.     MX 10 first.test.
  first.test.     A  127.0.0.2
  second.test.    A  127.0.0.3
  third.test.     A  127.0.0.4
  broken.test.    A  127.0.0.5
  away.test.      A  127.0.0.6
`

test('mail finds its hosts', async (t) => {
  const { platform, sinks, dns } = await startOutbound(t, {
    zone: ZONE,
    sinks: {
      first: { host: '127.0.0.2' },
      second: { host: '127.0.0.3' },
      third: { host: '127.0.0.4' },
      broken: { host: '127.0.0.5', greeting: '554 5.3.2 not today' },
    },
    settings: { DIRECTORY_MESSAGES_PER_HOUR: '100000', DIRECTORY_RECIPIENTS_PER_HOUR: '100000' },
  })
  const ready = platform.ready()
  const { sender, bulk } = await addAccounts(ready, ['sender', 'bulk'])

  await t.test('a host that is away, and one that greets with 554, leave the next one', async () => {
    await settled(platform, await submit(ready, sender, ['ann@fallback.test']))
    assert.deepEqual(takenBy(sinks.second), ['ann@fallback.test'])
    assert.ok(sinks.broken.sessions > 0)
    assert.deepEqual([takenBy(sinks.first), takenBy(sinks.third)], [[], []])
  })

  await t.test('without MX records the domain is its own host', async () => {
    await settled(platform, await submit(ready, sender, ['ann@implicit.test']))
    assert.deepEqual(takenBy(sinks.first), ['ann@implicit.test'])
  })

  await t.test('a null MX, and a domain that is not there, fail at once, and the sender is told why', async () => {
    const queueId = await submit(ready, sender, ['ann@nomail.test', 'ann@nowhere.test'])
    assert.deepEqual(
      (await settled(platform, queueId)).recipients.map(({ state }) => state),
      ['failed', 'failed'],
    )
    const { recipients } = await reportOf((await messages(ready, sender, 1))[0] ?? assert.fail())
    assert.deepEqual(recipients.map((recipient) => [recipient['Final-Recipient'], recipient['Status']]).toSorted(), [
      ['rfc822; ann@nomail.test', '5.1.10'],
      ['rfc822; ann@nowhere.test', '5.1.2'],
    ])
  })

  await t.test('a name server that cannot tell is asked again', async () => {
    dns.fault('flaky.test', 'servfail')
    const queueId = await submit(ready, sender, ['ann@flaky.test'])
    await until(
      async () => (await inTheBooks(ready, queueId))?.recipients[0]?.state === 'deferred',
      60_000,
      () => platform.output(),
    )
    dns.fault('flaky.test', null)
    assert.equal((await settled(platform, queueId)).recipients[0]?.state, 'relayed')
    assert.equal(takenBy(sinks.first).filter((path) => path === 'ann@flaky.test').length, 1)
  })

  await t.test(`${COUNT} messages spread evenly over hosts of equal preference`, async () => {
    const hosts = [sinks.first, sinks.second, sinks.third]
    const before = hosts.map(({ messages: taken }) => taken.length)
    await smtpLoad({
      ...{
        host: ready.host,
        port: ready.ports['submissions'] ?? 0,
        ledger: null,
        messages: COUNT,
        sessions: 4,
        bytes: 200,
      },
      recipients: ['ann@spread.test'],
      login: { user: bulk.address, password: bulk.password, ca: await readFile(ready.ca, 'utf8') },
    })
    const counts = (): number[] => hosts.map(({ messages: taken }, index) => taken.length - (before[index] ?? 0))
    const total = (): number => counts().reduce((sum, count) => sum + count, 0)
    await until(
      () => total() >= COUNT,
      60_000,
      () => `${counts().join(' ')} of ${COUNT}\n${platform.output()}`,
    )
    const expected = COUNT / hosts.length
    const chiSquare = counts().reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    t.diagnostic(`${counts().join(', ')}: chi-square ${chiSquare.toFixed(2)}`)
    assert.equal(total(), COUNT)
    assert.ok(chiSquare < UNLIKELY, `${counts().join(', ')}: chi-square ${chiSquare}`)
  })
})
