/** A bus with a directory, a custody and a delivery that say what a test wants, and the command through its front door. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { connectBus } from '@postbus/bus'
import type { Account, RequestContract } from '@postbus/contracts'
import { startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import type { z } from 'zod'

import { postbus } from '../src/cli/postbus.ts'

type Fake = <I extends z.ZodType, O extends z.ZodType>(
  contract: RequestContract<I, O>,
  handler: (input: z.output<I>) => z.input<O>,
) => Promise<void>

export const createdAt = '2026-01-05T10:00:00.000Z'
export const account = (address: string, more: Partial<Account> = {}): Account => ({
  ...{ account: 'smith00000000', address, name: '', enabled: true, quotaBytes: null, createdAt },
  ...{ recipientsPerHour: null, messagesPerHour: null, ...more },
})

export async function platform(t: TestContext) {
  const nats = await startNatsServer(t)
  const data = mkdtempSync(join(tmpdir(), 'postbus-cli-'))
  const operatorNkeyFile = join(data, 'operator.nk')
  writeFileSync(operatorNkeyFile, nats.seeds.operator)
  writeFileSync(join(data, 'postbus.json'), JSON.stringify({ natsUrl: nats.url, operatorNkeyFile }))
  const log = pino({ level: 'silent' })
  const buses = await Promise.all(
    (['directory', 'custody', 'delivery'] as const).map((party) =>
      connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log }),
    ),
  )
  nats.defer(async () => {
    await Promise.all(buses.map((bus) => bus.close()))
    rmSync(data, { recursive: true, force: true })
  })
  const [directory, custody, delivery] = buses
  const answers: Fake = async (contract, handler) => {
    const { answerer } = contract
    const bus = answerer === 'custody' ? custody : answerer === 'delivery' ? delivery : directory
    await bus?.answer(contract, async (input) => handler(input))
  }
  return { data, env: { NATS_URL: nats.url, NATS_NKEY_FILE: operatorNkeyFile }, answers, nats }
}

export async function call(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const written = { out: '', err: '' }
  const status = await postbus(argv, {
    env,
    stdout: { write: (chunk) => (written.out += chunk) },
    stderr: { write: (chunk) => (written.err += chunk) },
  })
  return { status, ...written }
}
