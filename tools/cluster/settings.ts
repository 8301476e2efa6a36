/** What the commands of a cluster are told; manifests set them from the ConfigMap `cluster` and from Secrets. */
import { readSettings, type Environment } from '@postbus/service'
import { z } from 'zod'

const file = z.string().min(1)
const seconds = z.coerce.number().int().min(1).max(86_400)

/** `keys` */
export const KeysConfig = z.object({
  MAIL_HOSTNAME: z
    .string()
    .min(1)
    .describe('The name mail clients and MTAs connect to; the mail certificate is for it.'),
  BUS_SERVERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(7)
    .default(3)
    .describe('Servers of the bus: nats-0, nats-1, …; one stands alone, without TLS.'),
  BUS_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(6 * 1024 ** 3)
    .default(6 * 1024 ** 3)
    .describe('What the streams may occupy on the disk of one server (octets); the volume must be a third larger.'),
  MAIL_OUT_SHARDS: z.coerce.number().int().min(1).max(32).default(1).describe('As the services are told.'),
  CLUSTER_CERTIFICATES: z
    .enum(['make', 'others'])
    .default('others')
    .describe('make: an own authority, and certificates from it. others: somebody else brings them (cert-manager).'),
  BUS_STORE_DIR: file.default('/data').describe('Where a server of the bus keeps its streams, in its own file system.'),
  CLUSTER_SECRETS_DIR: file
    .optional()
    .describe('Directory to keep them in, a directory for each. Without it they are Secrets of Kubernetes.'),
  KUBERNETES_SERVICE_HOST: z.string().optional().describe('The Kubernetes API, as each pod is told.'),
  KUBERNETES_SERVICE_PORT: z.coerce.number().int().min(1).max(65_535).default(443).describe('Its port.'),
  KUBERNETES_ACCOUNT_DIR: file
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .describe('Directory with the token, the certificate of the authority and the namespace of this pod.'),
  CLUSTER_PATIENCE_S: seconds
    .default(240)
    .describe('What is not there yet, or does not answer, is waited for so long (s).'),
})
export type KeysConfig = z.infer<typeof KeysConfig>

const server = {
  DATABASE_HOST: z.string().min(1).describe('Host, or host:port, of PostgreSQL.'),
  DATABASE_NAME: z.string().min(1).default('postbus').describe('The database all services have their schemas in.'),
  DATABASE_CA_FILE: file
    .optional()
    .describe('PEM file of the authority of its certificate. Without it no TLS is spoken.'),
}

/** `migrate` */
export const MigrateConfig = z.object({
  ...server,
  DATABASE_PASSWORDS_DIR: file.describe('Directory of files with passwords: one for each role, and `admin`.'),
  DATABASE_ADMIN: z.string().min(1).default('postgres').describe('The role that may make roles and schemas.'),
  DATABASE_HOLDS_BYTES: z.stringbool().default(false).describe('Spool and message bytes are in PostgreSQL, too.'),
  CLUSTER_PATIENCE_S: KeysConfig.shape.CLUSTER_PATIENCE_S,
})
export type MigrateConfig = z.infer<typeof MigrateConfig>

/** `await-migrations`: waits for ever, as a pod does. */
export const AwaitConfig = z.object({
  ...server,
  DATABASE_PASSWORD: z.string().min(1).meta({ secret: true }).describe('Of the role `observer`.'),
})
export type AwaitConfig = z.infer<typeof AwaitConfig>

/** `idle` */
export const IdleConfig = z.object({
  HEALTH_HOST: z.string().default('127.0.0.1').describe('Address of /healthz and /readyz.'),
  HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(9090).describe('Their port.'),
  NATS_URL: z.string().min(1).describe('Servers of the bus.'),
  NATS_NKEY_FILE: file.describe("The operator's key."),
  NATS_CA_FILE: file.optional().describe('PEM file of the authority of the bus.'),
})
export type IdleConfig = z.infer<typeof IdleConfig>

/** The settings were not usable; all of them are named. */
export class SettingsRefused extends Error {
  override readonly name = 'SettingsRefused'
}

export function read<Config>(schema: z.ZodType<Config>, env: Environment): Config {
  const settings = readSettings(schema, env)
  if (settings.ok) return settings.config
  throw new SettingsRefused(settings.problems.map(({ text }) => text).join('\n'))
}

/** @param role whose password it is */
export function databaseUrl(
  {
    DATABASE_HOST,
    DATABASE_NAME,
    DATABASE_CA_FILE,
  }: Pick<MigrateConfig, 'DATABASE_HOST' | 'DATABASE_NAME' | 'DATABASE_CA_FILE'>,
  role: string,
  password: string,
): string {
  const tls = DATABASE_CA_FILE ? `?sslmode=verify-full&sslrootcert=${encodeURIComponent(DATABASE_CA_FILE)}` : ''
  const who = `${encodeURIComponent(role)}:${encodeURIComponent(password)}`
  return `postgres://${who}@${DATABASE_HOST}/${DATABASE_NAME}${tls}`
}
