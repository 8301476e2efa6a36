/** What the parts of delivery need of the settings. */
import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'

import { isAddress, isPrivate } from './adapters/addresses.ts'
import type { SmtpClientOptions } from './adapters/smtp-client.ts'
import type { DestinationRules } from './attempt/destination.ts'
import { type ReplyRule, rulesFrom } from './attempt/reply-rules.ts'
import type { RetrySchedule } from './attempt/retry-schedule.ts'
import type { DeliveryConfig } from './config.ts'
import type { LaneOptions } from './lanes/own-lanes.ts'
import type { SchedulerOptions } from './lanes/scheduler.ts'
import type { Smarthost } from './routing/route-of.ts'

/** Other replicas answer a newcomer at once. */
const SETTLE_MS = 500

export async function clientOptions(config: DeliveryConfig): Promise<SmtpClientOptions> {
  const file = config.DELIVERY_CA_FILE
  return {
    hostname: config.MAIL_HOSTNAME,
    sources: config.DELIVERY_SOURCE_POOLS,
    ...(file !== undefined && { ca: [...getCACertificates('default'), await readFile(file, 'utf8')] }),
    connectTimeoutMs: config.DELIVERY_CONNECT_TIMEOUT_MS,
    greetingTimeoutMs: config.DELIVERY_GREETING_TIMEOUT_MS,
    replyTimeoutMs: config.DELIVERY_REPLY_TIMEOUT_MS,
    dataTimeoutMs: config.DELIVERY_DATA_TIMEOUT_MS,
    blockTimeoutMs: config.DELIVERY_BLOCK_TIMEOUT_MS,
    dotTimeoutMs: config.DELIVERY_DOT_TIMEOUT_MS,
    idleMs: config.DELIVERY_IDLE_MS,
    maxIdle: config.DELIVERY_IDLE_SESSIONS,
    maxMessages: config.DELIVERY_SESSION_MESSAGES,
    tlsRetryMs: config.DELIVERY_TLS_RETRY_MS,
    now: () => performance.now(),
  }
}

/** The next hop of what no rule is about; null: the MX hosts of its site. */
export function lastResortOf(config: DeliveryConfig): Smarthost | null {
  const [, host, port] = /^(.+):(\d+)$/.exec(config.DELIVERY_SMARTHOST ?? '') ?? []
  if (host === undefined || port === undefined) return null
  const { DELIVERY_SMARTHOST_USER: user, DELIVERY_SMARTHOST_PASSWORD: password } = config
  const auth = user && password ? { user, password } : null
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), auth }
}

export function destinationRules(config: DeliveryConfig): DestinationRules {
  return {
    port: config.DELIVERY_PORT,
    allowPrivate: config.DELIVERY_ALLOW_PRIVATE,
    families: config.DELIVERY_ADDRESS_FAMILIES,
    ourselves: new Set([config.MAIL_HOSTNAME, ...config.DELIVERY_OURSELVES].map((name) => name.toLowerCase())),
    random: Math.random,
    ...{ isAddress, isPrivate },
  }
}

export function retrySchedule(config: DeliveryConfig): RetrySchedule {
  return {
    firstMs: config.DELIVERY_RETRY_FIRST_MS,
    longestMs: config.DELIVERY_RETRY_LONGEST_MS,
    jitter: config.DELIVERY_RETRY_JITTER,
    soonMs: config.DELIVERY_RETRY_GREYLIST_MS,
    soonAttempts: config.DELIVERY_RETRY_GREYLIST_ATTEMPTS,
  }
}

/** What the operator says replies mean. @throws an Error that names the file and the row */
export async function replyRules({ DELIVERY_REPLY_RULES_FILE: file }: DeliveryConfig): Promise<readonly ReplyRule[]> {
  if (file === undefined) return []
  try {
    return rulesFrom(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new Error(`DELIVERY_REPLY_RULES_FILE ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

export function schedulerOptions(config: DeliveryConfig): SchedulerOptions {
  return {
    transactions: config.DELIVERY_CONCURRENCY,
    concurrency: config.DELIVERY_SITE_CONCURRENCY,
    initialConcurrency: config.DELIVERY_SITE_INITIAL_CONCURRENCY,
    maxRecipients: config.DELIVERY_MAX_RECIPIENTS,
    gatherMs: config.DELIVERY_GATHER_MS,
    busyPauseMs: config.DELIVERY_BUSY_PAUSE_MS,
    breaker: {
      troubles: config.DELIVERY_BREAKER_TROUBLES,
      firstPauseMs: config.DELIVERY_BREAKER_FIRST_MS,
      longestPauseMs: config.DELIVERY_BREAKER_LONGEST_MS,
    },
    spill: {
      afterMs: config.DELIVERY_SPILL_AFTER_MS,
      minMs: config.DELIVERY_SPILL_MIN_MS,
      maxMs: config.DELIVERY_SPILL_MAX_MS,
    },
  }
}

export function laneOptions(config: DeliveryConfig): LaneOptions {
  return {
    settleMs: SETTLE_MS,
    graceMs: config.DELIVERY_LANE_GRACE_MS,
    steadyMs: config.DELIVERY_LANE_STEADY_MS,
    handOverMs: config.DELIVERY_HAND_OVER_MS,
  }
}
