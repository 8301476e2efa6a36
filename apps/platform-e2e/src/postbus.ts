/** The `postbus` command, as an operator types it. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { Ready } from './platform.ts'

const run = promisify(execFile)
const command = join(import.meta.dirname, '..', '..', 'console', 'bin', 'postbus.mjs')

/** Journals of imports go with the platform, not into the home of whoever runs the tests. */
const environment = (data: string) => ({ env: { ...process.env, XDG_STATE_HOME: data } })

export interface Account {
  address: string
  password: string
}

/** @returns what it prints with --json. Rejects with its words when it refuses. */
export async function postbus<Value>({ data }: Pick<Ready, 'data'>, ...args: string[]): Promise<Value> {
  const { stdout } = await run(process.execPath, [command, ...args, '--data', data, '--json'], environment(data))
  return JSON.parse(stdout) as Value // The scenario says what it asked for; a wrong shape fails there.
}

/** The same, whatever the exit status: 1 and 2 may be an answer. */
export async function postbusStatus<Value>(
  { data }: Pick<Ready, 'data'>,
  ...args: string[]
): Promise<{ value: Value; status: number }> {
  const outcome = await run(process.execPath, [command, ...args, '--data', data, '--json'], environment(data)).then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error: unknown) => error as { stdout: string; code: number }, // What execFile rejects with.
  )
  return { value: JSON.parse(outcome.stdout) as Value, status: outcome.code }
}

export async function addAccounts<Name extends string>(
  ready: Pick<Ready, 'data'>,
  names: readonly Name[],
): Promise<Record<Name, Account>> {
  const accounts: [Name, Account][] = []
  for (const name of names) {
    accounts.push([name, await postbus<Account>(ready, 'account', 'add', `${name}@example.org`, '--generate-password')])
  }
  return Object.fromEntries(accounts) as Record<Name, Account> // Object.fromEntries forgets the keys.
}
