/**
 * postbus dkim …: the keys a domain signs with, from the record to publish to the one that may go.
 *
 * STANDARDS  RFC 6376 §3.6.2.2; RFC 1035 §3.3.14, §5.1 (TXT in a zone file)
 */
import { readFile } from 'node:fs/promises'

import { type Bus, RequestRefused } from '@postbus/bus'
import {
  activateSigningKey,
  addSigningKey,
  type DkimKey,
  listSigningKeys,
  removeSigningKey,
  retireSigningKey,
} from '@postbus/contracts'
import type { Dns } from '@postbus/dns'
import { recordHoldsKey, signingAlgorithms } from '@postbus/mail-auth'

import { type Command, given, type OptionValues, take, textOption, UsageError } from '../command.ts'
import { table } from '../table.ts'
import { dnsServerOption, resolverOf } from '../resolver.ts'

/** Characters of a record that is not the one looked for. */
const MAX_SHOWN = 300

export const dkimCommands: Command[] = [
  {
    name: 'dkim add',
    takes: '<domain>',
    summary: 'prepare DKIM keys for a domain, and print the records to publish',
    details:
      'A key signs nothing until it is activated. RSA is what everybody verifies, Ed25519 is short and newer; mail signed with both\nis verified by either.',
    options: {
      algorithm: { type: 'string', help: 'rsa, ed25519 or both (default both)' },
      selector: { type: 'string', help: 'name of a single key (default: YYYYMM, and r or e)' },
      import: { type: 'string', help: 'PEM file of a private key made elsewhere' },
    },
    async run({ bus, args, options }) {
      const [domain] = take(args, '<domain>')
      const { keys } = await bus.request(addSigningKey, { domain, ...(await wanted(options)) })
      return { value: keys, text: `${recordsOf(keys)}\n\n${nextSteps(keys)}` }
    },
  },
  {
    name: 'dkim list',
    takes: '[<domain>]',
    summary: 'DKIM keys, of one domain or all',
    async run({ bus, args }) {
      const [domain] = take(args, '[<domain>]')
      const keys = await keysOf(bus, domain)
      const rows = keys.map((key) => [key.domain, key.selector, key.algorithm, key.bits, key.state, sinceOf(key)])
      return { value: keys, text: table(['domain', 'selector', 'algorithm', 'bits', 'state', 'since'], rows) }
    },
  },
  {
    name: 'dkim record',
    takes: '<domain>',
    summary: 'the TXT records of a domain’s keys, for a zone file and for a form',
    async run({ bus, args }) {
      const [domain] = take(args, '<domain>')
      const keys = await keysOf(bus, domain)
      if (keys.length === 0) throw new RequestRefused('noSuchKey', `domain: ${domain} has no key; see postbus dkim add`)
      return { value: keys, text: recordsOf(keys) }
    },
  },
  {
    name: 'dkim rotate',
    takes: '<domain>',
    summary: 'prepare a new key for each that signs now',
    details: 'Nothing changes until the new ones are activated, which retires the old ones.',
    async run({ bus, args }) {
      const [domain] = take(args, '<domain>')
      const active = (await keysOf(bus, domain)).filter(({ state }) => state === 'active')
      if (active.length === 0) {
        throw new RequestRefused('noSuchKey', `domain: no key signs for ${domain}; see postbus dkim add`)
      }
      const { keys } = await bus.request(addSigningKey, {
        domain,
        algorithms: active.map(({ algorithm }) => algorithm),
      })
      const old = active.map(({ selector }) => selector).join(' and ')
      return { value: keys, text: `${recordsOf(keys)}\n\n${nextSteps(keys)}\n\n${afterRotation(old)}` }
    },
  },
  {
    name: 'dkim activate',
    takes: '<domain> <selector>',
    summary: 'sign with a key, once DNS shows its record',
    details: 'The key of the same algorithm that signed until now is retired. A retired key can be activated again.',
    options: {
      force: { type: 'boolean', help: 'without asking DNS' },
      ...dnsServerOption,
    },
    async run({ bus, args, options }) {
      const [domain, selector] = take(args, '<domain>', '<selector>')
      const dns = resolverOf(options)
      try {
        if (!options['force']) await seePublished(await keyOf(bus, domain, selector), dns)
      } finally {
        dns.close()
      }
      const value = await bus.request(activateSigningKey, { domain, selector })
      const { key, retired } = value
      const signs = `${key.selector} signs for ${key.domain} now`
      return { value, text: retired === null ? signs : `${signs}\n${afterRotation(retired.selector)}` }
    },
  },
  {
    name: 'dkim retire',
    takes: '<domain> <selector>',
    summary: 'sign with a key no longer; its record must stay',
    async run({ bus, args }) {
      const [domain, selector] = take(args, '<domain>', '<selector>')
      const value = await bus.request(retireSigningKey, { domain, selector })
      return { value, text: `${value.selector} signs for ${value.domain} no longer\n${afterRotation(value.selector)}` }
    },
  },
  {
    name: 'dkim remove',
    takes: '<domain> <selector>',
    summary: 'forget a key that does not sign',
    options: { force: { type: 'boolean', help: 'also one retired in the last 7 days, whose mail may be under way' } },
    async run({ bus, args, options }) {
      const [domain, selector] = take(args, '<domain>', '<selector>')
      const value = await bus.request(removeSigningKey, { domain, selector, force: options['force'] === true })
      return { value, text: `removed ${value.selector}; ${value.recordName} can go from DNS` }
    },
  },
]

async function wanted(options: OptionValues) {
  const [algorithm, file] = [textOption(options, 'algorithm'), textOption(options, 'import')]
  const selector = given({ selector: textOption(options, 'selector') })
  if (file !== undefined) {
    if (algorithm !== undefined) throw new UsageError('--import brings its own algorithm; leave --algorithm out')
    return { ...selector, privateKey: await textOf(file) }
  }
  const algorithms = signingAlgorithms.filter(
    (one) => algorithm === undefined || algorithm === 'both' || algorithm === one,
  )
  if (algorithms.length === 0) throw new UsageError(`--algorithm is rsa, ed25519 or both, not ${algorithm}`)
  if (algorithms.length > 1 && 'selector' in selector) {
    throw new UsageError('--selector names one key; say --algorithm rsa or ed25519 as well')
  }
  return { ...selector, algorithms }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`--import: ${file} cannot be read`, { cause })
  }
}

async function keysOf(bus: Bus, domain: string | undefined): Promise<DkimKey[]> {
  const keys: DkimKey[] = []
  for (let more = true; more;) {
    const last = keys.at(-1)
    const after = last && { domain: last.domain, selector: last.selector }
    const page = await bus.request(listSigningKeys, given({ domain, after }))
    keys.push(...page.keys)
    more = page.more
  }
  return keys
}

async function keyOf(bus: Bus, domain: string, selector: string): Promise<DkimKey> {
  const key = (await keysOf(bus, domain)).find((one) => one.selector === selector.toLowerCase())
  if (key === undefined) throw new RequestRefused('noSuchKey', `selector: ${domain} has no key ${selector}`)
  return key
}

/** A signature whose key cannot be found is worth less than none. @throws RequestRefused */
async function seePublished({ recordName, record }: DkimKey, dns: Pick<Dns, 'txt'>): Promise<void> {
  let found: string[]
  try {
    const answer = await dns.txt(recordName)
    found = answer.kind === 'answer' ? answer.records.map((record) => record.toString('latin1')) : []
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RequestRefused('unknown', `DNS does not say whether ${recordName} is published: ${why}`, { cause })
  }
  if (found.some((text) => recordHoldsKey(text, record))) return
  // Anybody may have written it, and a terminal must not obey it.
  const shown = found
    .join(' | ')
    .replaceAll(/\p{Cc}/gu, '?')
    .slice(0, MAX_SHOWN)
  const instead = found.length === 0 ? '' : `; another record is there: ${shown}`
  throw new RequestRefused('notPublished', `${recordName} is not published${instead}`)
}

const sinceOf = ({ state, createdAt, activatedAt, retiredAt }: DkimKey): string =>
  ({ prepared: createdAt, active: activatedAt, retired: retiredAt })[state] ?? createdAt

const recordsOf = (keys: readonly DkimKey[]): string => keys.map(recordOf).join('\n\n')

function recordOf({ recordName, record, algorithm, state }: DkimKey): string {
  const strings = (record.match(/.{1,255}/g) ?? []).map((string) => `"${string}"`)
  return [
    `; ${algorithm}, ${state}`,
    `${recordName}. IN TXT ( ${strings.join('\n    ')} )`,
    '; the same for a form',
    `; name   ${recordName}`,
    `; value  ${record}`,
  ].join('\n')
}

const nextSteps = (keys: readonly DkimKey[]): string =>
  ['Publish, wait until DNS shows it, then', ...keys.map(activation)].join('\n')

const activation = ({ domain, selector }: DkimKey): string => `    postbus dkim activate ${domain} ${selector}`

const afterRotation = (selectors: string): string =>
  `Leave the record of ${selectors} published for 7 days after that: mail signed with it is under way. Then postbus dkim remove.`
