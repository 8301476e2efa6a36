/**
 * Adding, activating, retiring and removing DKIM keys: what must hold before it is written.
 *
 * A key is published before it signs, and stays published after it: a signature counts only while its record can be found.
 *
 * STANDARDS  RFC 6376 §3.1; RFC 6376 §6.1.2 (a key that cannot be found)
 */
import type { addSigningKey, DkimKey, removeSigningKey } from '@postbus/contracts'
import { isSelector, keyPair, type KeyPair, keyRecord, keyRecordName, readPrivateKey } from '@postbus/mail-auth'
import type { z } from 'zod'

import { invalid, Refusal } from '../refusal.ts'
import type { DirectoryReader, DirectoryWriter, DkimKeyName, DkimKeyRecord } from '../store.ts'
import { domainNamed } from './domains.ts'

/** Longer than a recipient may stay open (five days), and time to read what came last. */
export const RETIRED_KEY_STAYS_DAYS = 7
const DAY_MS = 86_400_000

type AddInput = z.output<typeof addSigningKey.input>
type Ports = Pick<DirectoryWriter, 'domains' | 'dkimKey' | 'activeDkimKeys' | 'insertDkimKey' | 'updateDkimKey'>

/** Made, or read, before the change that stores them: an RSA key takes long. */
export async function newKeyPairs({ algorithms, selector, privateKey }: AddInput): Promise<KeyPair[]> {
  if (privateKey !== undefined) {
    const read = readPrivateKey(privateKey)
    if ('fault' in read) throw invalid('privateKey', read.fault)
    return [read]
  }
  const distinct = [...new Set(algorithms)]
  if (selector !== undefined && distinct.length > 1) throw invalid('selector', 'it names one key; name one algorithm')
  return Promise.all(distinct.map(keyPair))
}

export async function insertKeys(
  input: AddInput,
  pairs: readonly KeyPair[],
  ports: Ports,
  now: Date,
): Promise<DkimKey[]> {
  const { domain } = await domainNamed(input.domain, ports)
  const keys: DkimKey[] = []
  for (const pair of pairs) {
    const selector =
      input.selector === undefined
        ? await freeSelector(domain, pair, ports, now)
        : await givenSelector(domain, input.selector.toLowerCase(), ports)
    const record: DkimKeyRecord = {
      ...pair,
      ...{ domain, selector, state: 'prepared', createdAt: now.toISOString(), activatedAt: null, retiredAt: null },
    }
    await ports.insertDkimKey(record)
    keys.push(dkimKeyView(record))
  }
  return keys
}

export async function activateKey(
  name: DkimKeyName,
  ports: Ports,
  now: Date,
): Promise<{ key: DkimKey; retired: DkimKey | null }> {
  const key = await keyNamed(name, ports)
  if (key.state === 'active') return { key: dkimKeyView(key), retired: null }
  const others = await ports.activeDkimKeys([key.domain])
  const before = others.find(({ algorithm }) => algorithm === key.algorithm)
  // First: of each algorithm one key may be active.
  const retired = before === undefined ? null : await changed({ ...before, ...retiredAt(now) }, ports)
  const active = { ...key, state: 'active', activatedAt: now.toISOString(), retiredAt: null } as const
  return { key: await changed(active, ports), retired }
}

export async function retireKey(name: DkimKeyName, ports: Ports, now: Date): Promise<DkimKey> {
  const key = await keyNamed(name, ports)
  if (key.state === 'prepared') throw invalid('selector', `${key.selector} never signed; remove it`)
  if (key.state === 'retired') return dkimKeyView(key)
  return changed({ ...key, ...retiredAt(now) }, ports)
}

export async function deleteKey(
  { force, ...name }: z.output<typeof removeSigningKey.input>,
  ports: Pick<DirectoryWriter, 'domains' | 'dkimKey' | 'deleteDkimKey'>,
  now: Date,
): Promise<DkimKey> {
  const key = await keyNamed(name, ports)
  if (key.state === 'active') throw new Refusal('inUse', `selector: ${key.selector} signs; retire it first`)
  const staysUntil = new Date(Date.parse(key.retiredAt ?? key.createdAt) + RETIRED_KEY_STAYS_DAYS * DAY_MS)
  if (key.state === 'retired' && now < staysUntil && !force) {
    throw new Refusal(
      'tooSoon',
      `selector: mail signed with ${key.selector} may be about until ${staysUntil.toISOString()}`,
    )
  }
  await ports.deleteDkimKey(key)
  return dkimKeyView(key)
}

export function dkimKeyView({ privateKey: _, publicKey, activatedAt, retiredAt, ...key }: DkimKeyRecord): DkimKey {
  return {
    ...key,
    recordName: keyRecordName(key.selector, key.domain),
    record: keyRecord(key.algorithm, publicKey),
    ...(activatedAt === null ? {} : { activatedAt }),
    ...(retiredAt === null ? {} : { retiredAt }),
  }
}

const retiredAt = (now: Date) => ({ state: 'retired', retiredAt: now.toISOString() }) as const

async function changed(key: DkimKeyRecord, ports: Pick<Ports, 'updateDkimKey'>): Promise<DkimKey> {
  await ports.updateDkimKey(key)
  return dkimKeyView(key)
}

async function keyNamed(
  name: DkimKeyName,
  ports: Pick<DirectoryReader, 'domains' | 'dkimKey'>,
): Promise<DkimKeyRecord> {
  const { domain } = await domainNamed(name.domain, ports)
  const selector = name.selector.toLowerCase()
  const key = await ports.dkimKey({ domain, selector })
  if (key === undefined) throw new Refusal('noSuchKey', `selector: ${domain} has no key ${selector}`)
  return key
}

async function givenSelector(domain: string, selector: string, ports: Pick<Ports, 'dkimKey'>): Promise<string> {
  if (!isSelector(selector)) throw invalid('selector', `'${selector}' is none: letters, digits and inner hyphens`)
  if ((await ports.dkimKey({ domain, selector })) !== undefined)
    throw new Refusal('exists', `selector: ${domain} has a key ${selector}`)
  return selector
}

/** `202601r`, and `202601r2` for a second one in a month. */
async function freeSelector(
  domain: string,
  { algorithm }: KeyPair,
  ports: Pick<Ports, 'dkimKey'>,
  now: Date,
): Promise<string> {
  const base = now.toISOString().slice(0, 7).replace('-', '') + algorithm.charAt(0)
  for (let count = 1; ; count++) {
    const selector = count === 1 ? base : `${base}${count}`
    if ((await ports.dkimKey({ domain, selector })) === undefined) return selector
  }
}
