/**
 * Loss of power at any moment: every message answered with 250 is still there, and stands in its mailbox exactly once when the
 * platform has been started again.
 *
 * One loaded run of the embedded profile is recorded operation by operation (recording-fs.c of the testkit). From the record,
 * directories are made as they could be found after a loss of power behind the k-th operation: what was flushed, and of the rest
 * whatever a seed draws (crash-model.ts there). In every one of them each message whose 250 was read before the cut must
 * stand in the spool or in the mailstore, byte for byte, and every database must be whole; on some of them the platform is
 * started again, and the mailboxes are read over IMAP.
 */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { openSpoolKeeper } from '@postbus/spool'
import { between, seeded } from '@postbus/testkit'
import { CrashModel, readLog } from '@postbus/testkit/power-loss'

import { directory } from '../directories.ts'
import { compare, loadIds } from '../mailboxes.ts'
import { isEmbeddedOnly, metric, startPlatform, until } from '../platform.ts'
import { whatIsLeft } from '../power-loss/recovered.ts'
import { DATA, recordRun, type PromisedMessage, type Recording } from '../power-loss/recording.ts'

const long = process.env['POSTBUS_TEST_LONG'] === '1'
const MESSAGES = long ? 2000 : 300
const CUTS = long ? 200 : 20
const PLATFORMS = long ? 10 : 1
/** A platform is started at one cut of so many. */
const EVERY = Math.floor(CUTS / PLATFORMS)
const SEED = Number(process.env['POSTBUS_TEST_SEED'] ?? 20261128)
const RECOVERY_MS = 240_000

const set = (settings: Record<string, string>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
/** Minutes of patience become seconds, what is done after them stays the same; the books keep the time at which they end. */
const SETTINGS = set({
  // While the load runs, so that cuts fall into that too.
  CUSTODY_FREE_MS: '200',
  CUSTODY_SCAN_MS: '1000',
  CUSTODY_RECORD_AGE_MS: '1000',
  CUSTODY_RECONCILE_MS: '500',
  CUSTODY_CHECK_GAP_MS: '2000',
  CUSTODY_OVERDUE_MS: '3000',
})

test('loss of power: no promised message is missing, none stands twice', async (t) => {
  if (isEmbeddedOnly(t, 'records what one disk had flushed')) return
  const dir = await directory()
  const recording = await recordRun(t, dir, MESSAGES, SETTINGS)
  const cuts = drawCuts(recording)
  const facts = { promised: 0, missing: 0, duplicated: 0, reinjected: 0, platforms: 0 }
  const faults: string[] = []
  const model = new CrashModel()

  for await (const { at, number } of reached(model, recording, cuts)) {
    const tree = join(dir, 'found')
    await mkdir(tree)
    model.materialise(tree, seeded(SEED + number))
    const data = join(tree, DATA)
    const promised = recording.promised.filter(({ position }) => position <= at)
    const where = `operation ${at} (cut ${number} of seed ${SEED})`

    const { missing, damaged } = await whatIsLeft(data, promised)
    facts.promised += promised.length
    facts.missing += missing.length
    if (missing.length > 0)
      faults.push(`after ${where}: ${missing.length} of ${promised.length} missing: ${some(missing)}`)
    if (damaged.length > 0) faults.push(`after ${where}: ${some(damaged)}`)
    await rm(tree, { recursive: true })

    // It would wait in vain for what is missing.
    if (number % EVERY === Math.floor(EVERY / 2) && missing.length === 0) {
      facts.platforms++
      await t.test(`the platform started again on what was found after ${where}`, async (t) => {
        const copy = join(dir, `found-${number}`)
        await mkdir(copy)
        model.materialise(copy, seeded(SEED + number))
        const { duplicated, reinjected } = await startAgain(t, join(copy, DATA), promised)
        facts.duplicated += duplicated.length
        facts.reinjected += reinjected
        assert.deepEqual(duplicated, [], `twice after ${where}`)
      })
    }
  }
  t.diagnostic(
    `${model.operations} operations logged, ${model.flushes} fsyncs, ${cuts.length} cuts, ${facts.platforms} of them with the platform; ` +
      `promised ${facts.promised}, missing ${facts.missing}, duplicated ${facts.duplicated}, re-injected ${facts.reinjected}`,
  )
  assert.deepEqual(faults, [])
})

/** Enough to look for. */
const some = (things: readonly string[]): string => `${things.slice(0, 5).join(', ')}${things.length > 5 ? ', …' : ''}`

/** Half of them right behind a promise, where it is kept or broken; the others anywhere, the first start included. */
function drawCuts({ promised, operations }: Recording): number[] {
  const draw = seeded(SEED)
  const cuts = Array.from({ length: CUTS }, (_, index) => {
    const promise = promised[between(draw, 0, promised.length - 1)]
    return index % 2 === 0 && promise !== undefined ? promise.position : between(draw, 2, operations)
  })
  return cuts.sort((one, other) => one - other)
}

/** Plays the log, and stops at every cut. */
async function* reached(
  model: CrashModel,
  { log }: Recording,
  cuts: readonly number[],
): AsyncGenerator<{ at: number; number: number }> {
  let number = 0
  for await (const entry of readLog(log)) {
    model.apply(entry)
    for (; cuts[number] === model.operations; number++) yield { at: model.operations, number }
  }
}

async function startAgain(
  t: TestContext,
  data: string,
  promised: readonly PromisedMessage[],
): Promise<{ duplicated: string[]; reinjected: number }> {
  const platform = await startPlatform(t, { data, args: SETTINGS })
  const ids = promised.map(({ id }) => id)
  let verdict = compare(ids, await loadIds(platform.ready()))
  await until(
    async () => {
      verdict = compare(ids, await loadIds(platform.ready()))
      return verdict.missing.length === 0
    },
    RECOVERY_MS,
    () => `missing: ${some(verdict.missing)}\n${platform.output()}`,
  )
  let left = 0
  // What was not promised ends too; until then a second copy of something could still come.
  await until(
    async () => (left = await unfreed(data)) === 0,
    RECOVERY_MS,
    () => `${left} records are never freed\n${platform.output()}`,
  )
  const { duplicated } = compare(ids, await loadIds(platform.ready()))
  const reinjected = await metric(platform.ready(), 'custody', 'mail_custody_overdue_total', 'finding="republished"')
  await platform.stop()
  return { duplicated, reinjected }
}

async function unfreed(data: string): Promise<number> {
  const keeper = await openSpoolKeeper(join(data, 'spool'))
  try {
    return (await Array.fromAsync(keeper.list())).length
  } finally {
    await keeper.close()
  }
}
