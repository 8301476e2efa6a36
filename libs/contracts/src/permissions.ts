/**
 * What each party may say and hear on the bus, worked out from the contracts. Pure data: `serverConfig` writes it into the
 * configuration of nats-server, deployments may write it elsewhere.
 *
 * The rule: nothing but what a contract names. Nobody but the provisioner may create or change a stream or a consumer, nobody
 * at all may delete or purge one, delivery takes messages off MAIL_HOLD by name, custody off MAIL_DEAD, nobody any other (`removedBy`); no
 * party hears another's inbox, where answers and message copies pass.
 */
import { parties, type ConsumerContract, type EventContract, type Party, type StreamContract } from './define.ts'
import { contracts } from './registry.ts'
import { streamNames, streams } from './streams.ts'

/** Whoever has a key of its own: the parties, and the resident provisioner, which lives in custody. */
export const identities = [...parties, 'provisioner'] as const
export type Identity = (typeof identities)[number]

export interface Permissions {
  publish: string[]
  /** `subject queue` where only a member of the queue group may listen. */
  subscribe: string[]
  /** Answer whoever asked, as often as needed, for this long after each message with a reply subject. */
  allowResponses: { max: number; expires: string } | null
}

/** Key-value buckets of the bus library: who leads what, and messages whose handling was cut short. */
export const LEASE_BUCKET = 'lease'
export const TRIED_BUCKET = 'tried'

/** Answers to one party pass only here. */
export const inboxPrefix = (identity: Identity): string => `_INBOX_${identity}`

/** Parties that hold leases: lanes, the leader of custody, locked maildrops. */
const leaseHolders: readonly Party[] = ['delivery', 'custody', 'pop3']

/** Parties that people look at the bus with. */
const inspectors: readonly Party[] = ['operator', 'console']

/** Longer than any request may take (its contract's `timeoutMs`). */
const RESPONSE_LIFETIME = '5m'

export function permissionsOf(identity: Identity, options: { shards: number }): Permissions {
  if (identity === 'provisioner') return provisioner
  const publish = new Set<string>()
  const subscribe = new Set<string>([`${inboxPrefix(identity)}.>`])
  let responds = false

  for (const contract of contracts) {
    switch (contract.kind) {
      case 'event':
        for (const subject of ofEvent(contract, identity, options.shards)) publish.add(subject)
        break
      case 'request':
      case 'rows':
        if (contract.askers.includes(identity)) publish.add(subjectFilter(contract.subject))
        if (contract.answerer === identity) subscribe.add(`${subjectFilter(contract.subject)} ${identity}`)
        // Rows are paid for with credit, which the asker sends as an answer to the last frame.
        responds ||= contract.answerer === identity || (contract.kind === 'rows' && contract.askers.includes(identity))
        break
      case 'survey':
        if (contract.askers.includes(identity)) publish.add(contract.subject)
        if (contract.answerers.includes(identity)) subscribe.add(contract.subject)
        responds ||= contract.answerers.includes(identity)
        break
      case 'hint':
        if (contract.producers.includes(identity)) publish.add(subjectFilter(contract.pattern))
        if (contract.consumers.includes(identity)) subscribe.add(subjectFilter(contract.pattern))
    }
  }
  if (leaseHolders.includes(identity)) for (const subject of ofBucket(LEASE_BUCKET, identity)) publish.add(subject)
  if (identity === 'custody') for (const subject of ofBookkeeper(options.shards)) publish.add(subject)
  if (inspectors.includes(identity)) for (const subject of ofInspector(options.shards)) publish.add(subject)

  return {
    publish: [...publish],
    subscribe: [...subscribe],
    allowResponses: responds ? { max: -1, expires: RESPONSE_LIFETIME } : null,
  }
}

function* ofEvent(contract: EventContract, party: Party, shards: number): Iterable<string> {
  const names = streamNames(contract.stream, shards)
  if (contract.producers.includes(party)) {
    yield subjectFilter(contract.pattern, contract.narrow?.[party])
    yield* names.map((name) => `$JS.API.STREAM.INFO.${name}`)
    // How full the account is.
    if (contract.newWorkOf?.includes(party)) yield '$JS.API.INFO'
  }
  if (contract.lookedUpBy?.includes(party)) yield* names.map((name) => `$JS.API.STREAM.MSG.GET.${name}`)
  if (contract.removedBy?.includes(party)) yield* names.map((name) => `$JS.API.STREAM.MSG.DELETE.${name}`)
  for (const consumer of contract.consumers) {
    if (consumer.party !== party) continue
    for (const name of names) yield* ofConsumer(name, consumer)
    yield* ofBucket(TRIED_BUCKET, party)
  }
}

function* ofConsumer(stream: string, { durable }: ConsumerContract): Iterable<string> {
  // A durable with a place in it is one of a family, and the whole family is this party's.
  const consumer = `${stream}.${durable.includes('{') ? '*' : durable}`
  yield `$JS.API.STREAM.INFO.${stream}`
  yield `$JS.API.CONSUMER.INFO.${consumer}`
  yield `$JS.API.CONSUMER.MSG.NEXT.${consumer}`
  yield `$JS.ACK.${consumer}.>`
  // The second form of the subject (ADR-15), which servers use when js_ack_fc_v2 is on: domain and account before the stream.
  yield `$JS.ACK.*.*.${consumer}.>`
}

/** Keys of a bucket begin with the party they belong to. */
function* ofBucket(bucket: string, party: Party): Iterable<string> {
  yield `$JS.API.STREAM.INFO.KV_${bucket}`
  yield `$KV.${bucket}.${party}.>`
  yield `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.${party}.>`
}

/** Custody compares its rows with what the streams hold. */
function* ofBookkeeper(shards: number): Iterable<string> {
  for (const stream of allStreams(shards)) {
    yield `$JS.API.STREAM.INFO.${stream}`
    yield `$JS.API.STREAM.MSG.GET.${stream}`
  }
}

/** How full streams are and who reads them; never what is in them. */
function* ofInspector(shards: number): Iterable<string> {
  yield '$JS.API.INFO'
  for (const stream of allStreams(shards)) {
    yield `$JS.API.STREAM.INFO.${stream}`
    yield `$JS.API.CONSUMER.INFO.${stream}.*`
  }
}

const provisioner: Permissions = {
  publish: [
    '$JS.API.INFO',
    ...['STREAM.CREATE', 'STREAM.UPDATE', 'STREAM.INFO'].map((verb) => `$JS.API.${verb}.*`),
    ...['CONSUMER.CREATE.>', 'CONSUMER.DURABLE.CREATE.>', 'CONSUMER.INFO.>'].map((verb) => `$JS.API.${verb}`),
    '$JS.API.CONSUMER.NAMES.*',
    '$JS.API.CONSUMER.LIST.*',
  ],
  subscribe: [
    `${inboxPrefix('provisioner')}.>`,
    '$JS.EVENT.ADVISORY.STREAM.DELETED.>',
    '$JS.EVENT.ADVISORY.CONSUMER.DELETED.>',
  ],
  allowResponses: null,
}

const allStreams = (shards: number): string[] =>
  Object.values<StreamContract>(streams).flatMap((stream) => streamNames(stream, shards))

/** `{token}` becomes its value, or `*` where none is given. */
export function subjectFilter(pattern: string, tokens: Readonly<Record<string, string>> = {}): string {
  return pattern.replaceAll(/\{(\w+)\}/g, (_, token: string) => tokens[token] ?? '*')
}

/** Everybody's, for a server's configuration. */
export function allPermissions(options: { shards: number }): Map<Identity, Permissions> {
  return new Map(identities.map((identity) => [identity, permissionsOf(identity, options)]))
}
