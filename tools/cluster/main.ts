/**
 * cluster — what a cluster needs beside its services; manifests run it from the image.
 *
 *   keys              makes keys, passwords, the configuration of the bus and, when told to, certificates, as Secrets
 *   migrate           brings PostgreSQL to this version
 *   await-migrations  ends when that is done
 *   idle              waits for a signal, in a pod for the `postbus` command
 *
 * Exit status: 0 done; 64 called wrongly; 70 it could not be done; 78 a setting cannot be used.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { awaitMigrations } from './await-migrations.ts'
import { filedSecrets } from './filed-secrets.ts'
import { idle } from './idle.ts'
import { makeKeys } from './keys.ts'
import { kubernetesSecrets } from './kubernetes-secrets.ts'
import { migrateAll } from './migrate.ts'
import type { Secrets } from './secrets.ts'
import { AwaitConfig, IdleConfig, KeysConfig, MigrateConfig, read, SettingsRefused } from './settings.ts'

const EX_USAGE = 64
const EX_SOFTWARE = 70
const EX_CONFIG = 78

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')))

const commands: Record<string, () => Promise<void>> = {
  async keys() {
    const config = read(KeysConfig, process.env)
    const secrets = await secretsFor(config)
    await makeKeys(config, secrets, say)
  },
  migrate: () => migrateAll(read(MigrateConfig, process.env), version, say),
  'await-migrations': () => awaitMigrations(read(AwaitConfig, process.env), version, say),
  idle: () => idle(read(IdleConfig, process.env)),
}

async function secretsFor(config: KeysConfig): Promise<Secrets> {
  if (config.CLUSTER_SECRETS_DIR !== undefined) return filedSecrets(config.CLUSTER_SECRETS_DIR)
  if (config.KUBERNETES_SERVICE_HOST === undefined) {
    throw new SettingsRefused('neither CLUSTER_SECRETS_DIR nor KUBERNETES_SERVICE_HOST is set: nowhere to keep keys')
  }
  return kubernetesSecrets({
    host: config.KUBERNETES_SERVICE_HOST,
    port: config.KUBERNETES_SERVICE_PORT,
    accountDir: config.KUBERNETES_ACCOUNT_DIR,
    patienceMs: config.CLUSTER_PATIENCE_S * 1000,
  })
}

const name = process.argv[2] ?? ''
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) {
  process.stderr.write(`usage: cluster <${Object.keys(commands).join('|')}>\n`)
  process.exit(EX_USAGE)
}
try {
  await command()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof SettingsRefused ? EX_CONFIG : EX_SOFTWARE
}
