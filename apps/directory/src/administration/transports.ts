/** Adding, changing and removing transport rules: what must hold before one is written. */
import {
  AccountId,
  type addTransport,
  type changeTransport,
  type ListedTransport,
  MAX_TRANSPORTS,
  type TransportAction,
  type TransportMatch,
  type TransportPolicy,
} from '@postbus/contracts'
import type { z } from 'zod'

import { invalid, Refusal } from '../refusal.ts'
import type { DirectoryReader, DirectoryWriter, TransportRecord } from '../store.ts'
import { domainField, pathField } from './fields.ts'

type Ports = Pick<
  DirectoryWriter,
  'transport' | 'transportFor' | 'transportCount' | 'insertTransport' | 'updateTransport' | 'deleteTransport'
>

export async function insertTransport(
  input: z.output<typeof addTransport.input>,
  ports: Ports,
  now: Date,
): Promise<ListedTransport> {
  const { name, action, policy } = input
  if ((await ports.transport(name)) !== undefined) throw new Refusal('exists', `name: ${name} exists`)
  if ((await ports.transportCount()) >= MAX_TRANSPORTS) throw invalid('name', `at most ${MAX_TRANSPORTS} rules`)
  const match = await freeMatch(name, input.match, ports)
  const record = { name, match, action: checkedAction(action), policy, createdAt: now.toISOString() }
  checkTls(record)
  await ports.insertTransport(record)
  return transportView(record)
}

export async function updateTransport(
  input: z.output<typeof changeTransport.input>,
  ports: Ports,
): Promise<ListedTransport> {
  const transport = await transportNamed(input.name, ports)
  const record = {
    ...transport,
    match: input.match === undefined ? transport.match : await freeMatch(input.name, input.match, ports),
    action: input.action === undefined ? transport.action : checkedAction(keepPassword(transport.action, input.action)),
    policy: changed(transport.policy, input.policy),
  }
  checkTls(record)
  await ports.updateTransport(record)
  return transportView(record)
}

export async function deleteTransport(name: string, ports: Ports): Promise<ListedTransport> {
  const transport = await transportNamed(name, ports)
  await ports.deleteTransport(name)
  return transportView(transport)
}

async function transportNamed(name: string, ports: Pick<DirectoryReader, 'transport'>): Promise<TransportRecord> {
  const transport = await ports.transport(name)
  if (transport === undefined) throw new Refusal('noSuchTransport', `name: ${name} is no transport rule`)
  return transport
}

/** Two rules with one match could not both be obeyed. */
async function freeMatch(name: string, given: TransportMatch, ports: Ports): Promise<TransportMatch> {
  const sender = given.sender === undefined ? undefined : senderField(given.sender)
  const match = { domain: matchedDomain(given.domain), ...(sender !== undefined && { sender }) }
  const other = await ports.transportFor(match)
  if (other !== undefined && other !== name) throw new Refusal('exists', `match: ${other} has the same`)
  return match
}

function matchedDomain(value: string): string {
  const text = value.trim()
  if (text === '*') return text
  return text.startsWith('.') ? `.${domainField('domain', text.slice(1))}` : domainField('domain', text)
}

/** Local parts keep their spelling: reverse-paths may be of other domains. */
function senderField(value: string): string {
  const text = value.trim()
  if (text === '<>' || AccountId.safeParse(text).success) return text
  if (text.startsWith('@')) return `@${domainField('sender', text.slice(1))}`
  const path = pathField('sender', text)
  const at = path.lastIndexOf('@')
  return `${path.slice(0, at)}@${domainField('sender', path.slice(at + 1))}`
}

function keepPassword(before: TransportAction, after: TransportAction): TransportAction {
  if (before.kind !== 'smarthost' || after.kind !== 'smarthost') return after
  // Not for another host: a password is not handed to whoever is named next.
  const same = before.username === after.username && before.host === after.host
  if (!same || after.password !== undefined || before.password === undefined) return after
  return { ...after, password: before.password }
}

function checkedAction(action: TransportAction): TransportAction {
  if (action.kind === 'lmtp' && action.port === SMTP_PORT) {
    throw invalid('port', 'LMTP must not be spoken on port 25 (RFC 2033)')
  }
  if (action.kind === 'smarthost' && (action.username === undefined) !== (action.password === undefined)) {
    throw invalid(action.username === undefined ? 'username' : 'password', 'a smarthost has both or none')
  }
  return action
}

const SMTP_PORT = 25

function checkTls({ action, policy: { tls } }: { action: TransportAction; policy: TransportPolicy }): void {
  if (tls === 'implicit' && action.kind !== 'smarthost') {
    throw invalid('tls', 'only a smarthost can be encrypted from the first octet')
  }
  // RFC 4954 §4: a password in the clear is everybody's.
  if (tls === 'none' && action.kind === 'smarthost' && action.username !== undefined) {
    throw invalid('tls', 'credentials are never sent in the clear')
  }
}

function changed(
  policy: TransportPolicy,
  changes: z.output<typeof changeTransport.input>['policy'] = {},
): TransportPolicy {
  const settings = Object.entries({ ...policy, ...changes }).filter(([, value]) => value !== null)
  return Object.fromEntries(settings)
}

export function transportView({ action, ...transport }: TransportRecord): ListedTransport {
  if (action.kind !== 'smarthost') return { ...transport, action }
  const { password, ...open } = action
  return { ...transport, action: { ...open, hasPassword: password !== undefined } }
}
