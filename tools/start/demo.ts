/**
 * The demo directory: example.org with smith, jones and brown, and example.net as another name for it. Made at the first
 * start; an operator may change or remove all of it, and a later start leaves that alone.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { connectBus, RequestRefused, type Bus } from '@postbus/bus'
import { addAccount, addDomain, changeAccount } from '@postbus/contracts'
import { generatedPassword } from '@postbus/profile'

import { writeDurably } from './durable-file.ts'

export const DEMO_DOMAIN = 'example.org'
export const DEMO_ALIAS_DOMAIN = 'example.net'
const DEMO_ACCOUNTS = ['smith', 'jones', 'brown'].map((name) => `${name}@${DEMO_DOMAIN}`)

export interface DemoAccount {
  address: string
  password: string
}

/** Who tries a platform tries it with load. */
const DEMO_LIMITS = { messagesPerHour: 1_000_000, recipientsPerHour: 1_000_000 }

/** @returns the accounts with their passwords, from the first start's file or newly made. */
export async function demoAccounts(data: string, connect: () => ReturnType<typeof connectBus>): Promise<DemoAccount[]> {
  const file = join(data, 'demo-accounts.json')
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as DemoAccount[]
  const accounts = DEMO_ACCOUNTS.map((address) => ({ address, password: generatedPassword() }))
  const bus = await connect()
  try {
    await ignoringExisting(bus.request(addDomain, { domain: DEMO_DOMAIN, kind: 'local' }))
    await ignoringExisting(bus.request(addDomain, { domain: DEMO_ALIAS_DOMAIN, kind: 'alias', target: DEMO_DOMAIN }))
    for (const { address, password } of accounts) await seedAccount(bus, address, password)
  } finally {
    await bus.close()
  }
  // Last: a start that was interrupted before this makes new passwords for the accounts it finds.
  await writeDurably(file, `${JSON.stringify(accounts, null, 2)}\n`)
  return accounts
}

async function seedAccount(bus: Bus, address: string, password: string): Promise<void> {
  try {
    await bus.request(addAccount, { address, password, name: address.split('@')[0], ...DEMO_LIMITS })
  } catch (error) {
    if (!(error instanceof RequestRefused && error.code === 'exists')) throw error
    await bus.request(changeAccount, { address, password })
  }
}

async function ignoringExisting(request: Promise<unknown>): Promise<void> {
  try {
    await request
  } catch (error) {
    if (!(error instanceof RequestRefused && error.code === 'exists')) throw error
  }
}
