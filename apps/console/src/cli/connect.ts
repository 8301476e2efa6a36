/** The operator's way onto the bus: named by the environment, or left by `npm start` in its data directory. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { connectBus, type Bus } from '@postbus/bus'
import { layoutOf, OperatorAccess } from '@postbus/profile'
import { pino } from 'pino'

import { UsageError } from './command.ts'

/** How long to wait for a bus that is not there. */
const CONNECT_MS = 5000

/** No bus, or nobody on it; exit code 69. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning'
}

export async function connectOperator(dataOption: string | undefined, env: NodeJS.ProcessEnv): Promise<Bus> {
  const { natsUrl, operatorNkeyFile, ca, shards } = await profile(dataOption, env)
  try {
    return await connectBus({
      servers: natsUrl,
      party: 'operator',
      nkeyFile: operatorNkeyFile,
      ...(natsUrl.includes('tls://') && ca !== undefined && { tls: { caFile: ca } }),
      shards,
      log: pino({ level: 'silent' }),
      signal: AbortSignal.timeout(CONNECT_MS),
    })
  } catch (cause) {
    throw new NotRunning(`no bus at ${natsUrl}; is Postbus running?`, { cause })
  }
}

/** The one named, or the checkout's. */
export const dataDirectory = (option: string | undefined): string =>
  resolve(option ?? join(import.meta.dirname, '..', '..', '..', '..', 'data'))

async function profile(dataOption: string | undefined, env: NodeJS.ProcessEnv): Promise<OperatorAccess> {
  const { NATS_URL: natsUrl, NATS_NKEY_FILE: operatorNkeyFile, NATS_CA_FILE: ca, MAIL_OUT_SHARDS: shards } = env
  if (dataOption === undefined && natsUrl !== undefined && operatorNkeyFile !== undefined) {
    return OperatorAccess.parse({ natsUrl, operatorNkeyFile, ca, shards })
  }
  const data = dataDirectory(dataOption)
  const { operator } = layoutOf(data)
  let text: string
  try {
    text = await readFile(operator, 'utf8')
  } catch (cause) {
    throw new UsageError(`no postbus.json in ${data}: say --data DIR, or set NATS_URL and NATS_NKEY_FILE`, { cause })
  }
  try {
    return OperatorAccess.parse(JSON.parse(text))
  } catch (cause) {
    throw new UsageError(`${operator} is not what \`npm start\` writes`, { cause })
  }
}
