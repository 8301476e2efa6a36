/**
 * Settings: a zod schema per service, read from the environment and, below it, an optional file of `NAME=value` lines.
 *
 * Convention: every setting ends in `.describe('…')`, one sentence for an administrator, with the unit; `tools/gen-docs` makes the
 * page from it. A secret value carries `.meta({ secret: true })` and is never shown; better, name a file it is in. Switches are
 * `z.stringbool()` (`z.coerce.boolean()` takes "false" for true). An empty value counts as not set.
 */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'

import { LogLevel } from '@postbus/contracts'
import { tracingConfig } from '@postbus/tracing'
import { z } from 'zod'

export { LogLevel }

/** What every service can be told. An app spreads these into its own schema. */
export const commonConfig = {
  NATS_URL: z
    .string()
    .default('nats://127.0.0.1:4222')
    .describe(
      'Servers of the bus, separated by commas: nats://host:port or tls://host:port; with TLS by the name in the certificate, not by address.',
    ),
  NATS_NKEY_FILE: z.string().optional().describe("File with the service's secret nkey; read again at each login."),
  NATS_CA_FILE: z.string().optional().describe('PEM file of the authority that signed the certificates of the bus.'),
  NATS_CERT_FILE: z.string().optional().describe('PEM file of the certificate this service shows to the bus.'),
  NATS_KEY_FILE: z.string().optional().describe('PEM file of the private key of NATS_CERT_FILE.'),
  MAIL_OUT_SHARDS: z.coerce
    .number()
    .int()
    .min(1)
    .max(32)
    .default(1)
    .describe('Streams that outgoing mail is spread over; the same everywhere, and never lowered.'),
  LOG_LEVEL: LogLevel.default('info').describe('The least important lines that are written.'),
  LOG_ADDRESSES: z
    .enum(['full', 'domain', 'hash'])
    .default('full')
    .describe('How mail addresses stand in logs: as they are, with their domain only, or as a keyed hash.'),
  LOG_ADDRESSES_KEY_FILE: z
    .string()
    .optional()
    .describe('File with the key of LOG_ADDRESSES=hash, at least 16 bytes; the same for all services.'),
  HEALTH_HOST: z.string().default('127.0.0.1').describe('Address of /metrics, /healthz and /readyz.'),
  HEALTH_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65535)
    .default(9090)
    .describe('Port of /metrics, /healthz and /readyz; 0 takes any free one, which the log names.'),
  HEALTH_PROBE_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(5_000)
    .describe('Pause between two looks at what readiness hangs on: databases, other services (ms).'),
  DRAIN_DEADLINE_MS: z.coerce
    .number()
    .int()
    .min(100)
    .default(15_000)
    .describe('After a stop signal work in hand may take so long (ms); what is not done then is given back.'),
  ...tracingConfig,
  CONFIG_FILE: z.string().optional().describe('File of NAME=value lines; the environment wins over it.'),
} as const

export type CommonConfig = z.infer<z.ZodObject<typeof commonConfig>>

export type Environment = Readonly<Record<string, string | undefined>>

/** One setting that cannot be used, in words for an administrator. */
export interface SettingProblem {
  setting: string
  text: string
}

export type SettingsResult<Config> = { ok: true; config: Config } | { ok: false; problems: SettingProblem[] }

const HIDDEN = '(hidden)'
const MAX_SHOWN = 100

/** Reads all settings; tells every problem at once. */
export function readSettings<Config>(schema: z.ZodType<Config>, env: Environment): SettingsResult<Config> {
  const file = fromFile(env['CONFIG_FILE'])
  if ('problem' in file) return { ok: false, problems: [file.problem] }
  const values = Object.fromEntries(
    Object.entries({ ...file.values, ...present(env) }).filter(([, value]) => value !== ''),
  )
  const parsed = schema.safeParse(values)
  if (parsed.success) return { ok: true, config: parsed.data }
  return {
    ok: false,
    problems: parsed.error.issues.map(({ path, message }) => problemOf(schema, String(path[0] ?? ''), message, values)),
  }
}

const present = (env: Environment): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])))

function fromFile(path: string | undefined): { values: Record<string, string> } | { problem: SettingProblem } {
  if (!path) return { values: {} }
  try {
    return { values: present(parseEnv(readFileSync(path, 'utf8'))) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { problem: { setting: 'CONFIG_FILE', text: `CONFIG_FILE = ${JSON.stringify(path)}: ${why}` } }
  }
}

function problemOf(
  schema: z.ZodType,
  setting: string,
  message: string,
  values: Readonly<Record<string, string>>,
): SettingProblem {
  const { description = '', secret = false } = metaOf(schema, setting)
  const value = values[setting]
  const shown =
    value === undefined
      ? 'is not set'
      : `= ${secret || looksSecret(setting) ? HIDDEN : JSON.stringify(value.slice(0, MAX_SHOWN))}`
  return {
    setting,
    text: `${setting} ${shown}: ${value === undefined ? 'it must be' : message}. ${description}`.trim(),
  }
}

/** A secret that nobody marked: better a value too many hidden. Names of files are not secrets. */
const looksSecret = (setting: string): boolean =>
  /PASSWORD|SECRET|SEED|TOKEN|CREDENTIAL|_KEY$/.test(setting) && !/_FILE$|_DIR$|_URL$/.test(setting)

function metaOf(schema: z.ZodType, setting: string): { description?: string; secret?: boolean } {
  const field = schema instanceof z.ZodObject ? schema.shape[setting] : undefined
  const meta = field instanceof z.ZodType ? field.meta() : undefined
  return {
    ...(typeof meta?.description === 'string' && { description: meta.description }),
    ...(meta?.['secret'] === true && { secret: true }),
  }
}
