/** A platform whose mail goes out by MX to sinks on loopback addresses, all on one port, as a name server of its own says. */
import type { TestContext } from 'node:test'

import {
  type DnsServer,
  freePort,
  type SinkOptions,
  type SmtpSink,
  startDnsServer,
  startSmtpSink,
} from '@postbus/testkit'

import { type Platform, startPlatform } from './platform.ts'

export interface Outbound<Name extends string> {
  platform: Platform
  dns: DnsServer
  sinks: Record<Name, SmtpSink>
}

export interface World<Name extends string> {
  zone: string
  /** Each on a loopback address of its own. */
  sinks: Record<Name, SinkOptions & { host: `127.0.0.${number}` }>
  settings?: Record<string, string>
  /** More arguments of the start tool. */
  args?: readonly string[]
}

/** Retries come after a second, the longest pause is two: what takes days takes as long as a test may. */
const SETTINGS = {
  DELIVERY_ALLOW_PRIVATE: 'true',
  DELIVERY_RETRY_FIRST_MS: '1000',
  DELIVERY_RETRY_LONGEST_MS: '2000',
  DELIVERY_RETRY_GREYLIST_MS: '1000',
  CUSTODY_REPORT_GATHER_MS: '1000',
}

export async function startOutbound<Name extends string>(t: TestContext, world: World<Name>): Promise<Outbound<Name>> {
  const port = await freePort('0.0.0.0')
  const sinks = {} as Record<Name, SmtpSink> // Filled below, name by name.
  for (const name in world.sinks)
    sinks[name] = await startSmtpSink(t, { name: `${name}.test`, ...world.sinks[name], port })
  // Indented where it is written; in a master file a blank in front means the name of the line before.
  const dns = await startDnsServer(t, world.zone.replaceAll(/^ +/gm, ''))
  const settings = { ...SETTINGS, DNS_SERVERS: dns.address, DELIVERY_PORT: String(port), ...world.settings }
  const args = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  return { platform: await startPlatform(t, { args: [...args, ...(world.args ?? [])] }), dns, sinks }
}

/** Forward-paths of all messages a sink took, in order. */
export const takenBy = ({ messages }: SmtpSink): string[] =>
  messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath))
