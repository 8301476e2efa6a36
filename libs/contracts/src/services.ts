/**
 * What every service answers about itself, and what one may ask of another before it calls itself ready.
 *
 * Surveys are put to all copies of all services at once; who does not answer is not there, or is busy beyond measure.
 */
import { z } from 'zod'

import { defineRequest, defineSurvey, type Party } from './define.ts'

/** The programs that move and keep mail, in the order of a message's way. */
export const serviceNames = [
  'submission',
  'inbound',
  'router',
  'delivery',
  'mailstore',
  'directory',
  'custody',
  'imap',
  'pop3',
] as const satisfies readonly Party[]

export const LogLevel = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
export type LogLevel = z.infer<typeof LogLevel>

const MAX_REASONS = 20
const MAX_REASON = 500

export const Reasons = z.array(z.string().max(MAX_REASON)).max(MAX_REASONS)

/** Reasons as they fit. */
export const boundedReasons = (reasons: readonly string[]): string[] =>
  reasons.slice(0, MAX_REASONS).map((reason) => reason.slice(0, MAX_REASON))

/** How many lines of this weight one copy logged. */
const Troubles = z.object({ warnings: z.int().min(0), errors: z.int().min(0) })

export const ServiceStatus = z.object({
  service: z.enum(serviceNames),
  /** Its own name for as long as it runs; that of its traces too. */
  instance: z.string().max(200),
  version: z.string().max(100),
  node: z.string().max(100),
  host: z.string().max(255),
  pid: z.int().min(0),
  startedAt: z.iso.datetime(),
  ready: z.boolean(),
  reasons: Reasons,
  logLevel: LogLevel,
  /** In the last five minutes. */
  troubles: Troubles,
  /** Octets in memory, of the whole process. */
  residentBytes: z.int().min(0),
  /** How late its event loop was lately, at the 99th percentile; of the whole process. */
  eventLoopDelayMs: z.number().min(0),
})
export type ServiceStatus = z.infer<typeof ServiceStatus>

export const serviceStatus = defineSurvey({
  name: 'service.status',
  answerers: serviceNames,
  askers: ['operator', 'console'],
  purpose: 'Who runs, since when, and what it waits for.',
  input: z.object({}),
  output: ServiceStatus,
})

export const setLogLevel = defineSurvey({
  name: 'service.setLogLevel',
  answerers: serviceNames,
  askers: ['operator', 'console'],
  purpose: 'Write more log lines, or fewer, for a while; answered by the copies it is meant for.',
  input: z.object({
    service: z.enum(serviceNames),
    /** Null: what its settings say. */
    level: LogLevel.nullable(),
    /** Then its settings hold again. */
    forSeconds: z.int().min(1).max(86_400),
    /** Who asks, for the log. */
    by: z.string().max(200),
  }),
  output: z.object({ service: z.enum(serviceNames), instance: z.string().max(200), level: LogLevel }),
})

const ready = { input: z.object({}), output: z.object({ reasons: Reasons }), timeoutMs: 2000 } as const

export const directoryReady = defineRequest({
  ...ready,
  name: 'directory.ready',
  answerer: 'directory',
  askers: ['submission', 'inbound', 'router', 'delivery', 'mailstore', 'imap', 'pop3'],
  purpose: 'What the directory waits for; nothing: it serves.',
})

export const mailstoreReady = defineRequest({
  ...ready,
  name: 'mailstore.ready',
  answerer: 'mailstore',
  askers: ['imap', 'pop3'],
  purpose: 'What the mailstore waits for; nothing: it serves.',
})
