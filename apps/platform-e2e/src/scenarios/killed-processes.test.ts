/**
 * kill -9 of every service and of the broker, each at moments drawn from a seed between the first and the last 250 of a
 * run: every message answered with 250 stands in its mailbox exactly once.
 *
 * The ledger of promises is kept by the client, on disk, outside the platform. Transactions whose answer was lost are listed
 * apart: they may have arrived or not (RFC 1047).
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { between, seeded, smtpLoad } from '@postbus/testkit'
import { compare, loadIds } from '../mailboxes.ts'
import { startPlatform, until, type Platform } from '../platform.ts'

const long = process.env['POSTBUS_TEST_LONG'] === '1'
const victims = ['inbound', 'router', 'mailstore', 'custody', 'directory', 'delivery', 'submission', 'imap', 'nats']
/** Long: a run of its own for each victim, ten kills in 2,000 messages. Short: all victims in one run. */
const runs: { name: string; kills: string[]; messages: number }[] = long
  ? victims.map((victim) => ({ name: victim, kills: Array.from({ length: 10 }, () => victim), messages: 2000 }))
  : [{ name: 'every service in turn', kills: victims, messages: 2000 }]
/** One account submits more in a minute than a person in an hour. */
const SETTINGS = ['--set', 'DIRECTORY_MESSAGES_PER_HOUR=100000', '--set', 'DIRECTORY_RECIPIENTS_PER_HOUR=100000']
const SEED = Number(process.env['POSTBUS_TEST_SEED'] ?? 20261124)

for (const { name, kills, messages } of runs) {
  test(`kill -9 of ${name}: no promised message is missing, none stands twice`, async (t) => {
    const platform = await startPlatform(t, { args: ['--processes', ...SETTINGS] })
    await killUnderLoad(t, platform, kills, messages)
  })
}

async function killUnderLoad(t: TestContext, platform: Platform, kills: string[], messages: number): Promise<void> {
  const { host, ports, accounts, ca, data } = platform.ready()
  const draw = seeded(SEED)
  const moments = kills.map(() => between(draw, 1, messages - 2)).sort((a, b) => a - b)
  const [sender] = accounts
  if (sender === undefined) assert.fail('no account')
  // A quarter is submitted, so that every service has a part in it.
  const submitted = Math.floor(messages / 4)
  const accepted = { mx: 0, submission: 0 }
  const common = { host, recipients: accounts.map(({ address }) => address), bytes: 2000 }
  const loading = Promise.all([
    smtpLoad({
      ...common,
      port: ports['mx'] ?? 0,
      messages: messages - submitted,
      sessions: 8,
      ledger: join(data, '..', 'ledger'),
      onAccepted: (count) => (accepted.mx = count),
    }),
    smtpLoad({
      ...common,
      port: ports['submissions'] ?? 0,
      login: { user: sender.address, password: sender.password, ca: await readFile(ca, 'utf8') },
      prefix: 'submitted',
      messages: submitted,
      sessions: 3,
      ledger: join(data, '..', 'ledger-of-submissions'),
      onAccepted: (count) => (accepted.submission = count),
    }),
  ])
  const killing = (async () => {
    for (const [index, moment] of moments.entries()) {
      await until(
        () => accepted.mx + accepted.submission >= moment,
        300_000,
        () => `${accepted.mx} and ${accepted.submission} of ${messages} accepted\n${platform.output()}`,
      )
      await platform.kill(kills[index] as string)
    }
  })()
  const [loads] = await Promise.all([loading, killing])
  const promised = new Set(loads.flatMap((result) => [...result.promised.keys()]))
  const unanswered = loads.flatMap((result) => result.unanswered)
  const refusals = loads.flatMap((result) => [...result.refusals])
  const elapsedMs = Math.max(...loads.map((result) => result.elapsedMs))
  await platform.untilReady()

  let verdict = compare(promised, await loadIds(platform.ready()))
  await until(
    async () => {
      verdict = compare(promised, await loadIds(platform.ready()))
      return verdict.missing.length === 0
    },
    240_000,
    () => `missing: ${verdict.missing.slice(0, 20).join(' ')} (${verdict.missing.length})\n${platform.output()}`,
  )
  t.diagnostic(
    `${kills.length} kills at ${moments.join(' ')}; ${promised.size} promised in ${elapsedMs} ms, ` +
      `missing ${verdict.missing.length}, twice ${verdict.duplicated.length}, unanswered ${unanswered.length}, ` +
      `refused for now ${JSON.stringify(refusals)}`,
  )
  assert.deepEqual(verdict.duplicated, [])
}
