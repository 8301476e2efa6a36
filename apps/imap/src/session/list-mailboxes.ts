/**
 * Which names LIST and LSUB answer with, and under which attributes.
 *
 * The mailstore knows mailboxes; levels above them that are no mailboxes themselves exist only here.
 *
 * STANDARDS  RFC 9051 §6.3.9; RFC 3501 §6.3.8–9; RFC 5258 §3–5; RFC 6154 §2; RFC 3348
 */
import type { MailboxInfo } from '@postbus/contracts'
import { SEPARATOR, type ListArguments, type ListPattern } from '@postbus/imap-wire'

export interface Mailboxes {
  mailboxes: readonly MailboxInfo[]
  /** Names subscribed to without a mailbox. */
  subscribedOnly: readonly string[]
}

export interface ListedName {
  name: string
  attributes: string[]
  /** Which selection options names below it fulfil — RFC 5258 §3.5. */
  childInfo: string[]
  /** Undefined when there is no such mailbox. */
  info: MailboxInfo | undefined
}

export function listMailboxes(
  known: Mailboxes,
  args: Pick<ListArguments, 'select' | 'return' | 'extended'>,
  patterns: readonly ListPattern[],
): ListedName[] {
  const names = new Names(known)
  const selects = (name: string): boolean =>
    (!args.select.has('SUBSCRIBED') || names.subscribed.has(name)) &&
    (!args.select.has('SPECIAL-USE') || (names.infos.get(name)?.specialUse.length ?? 0) > 0)
  const conditional = args.select.has('SUBSCRIBED') || args.select.has('SPECIAL-USE')
  const candidates = args.select.has('SUBSCRIBED') ? [...names.all, ...names.subscribed] : names.all
  const matches = (name: string): boolean => patterns.some((pattern) => pattern.matches(name))
  const selected = [...candidates].filter(selects)
  const recursive = args.select.has('RECURSIVEMATCH')
  const aboveSelected = recursive ? superiorsOf(selected) : new Set<string>()
  // A name for the sake of those below it, where these are not listed themselves — RFC 5258 §3.5.
  const instead = recursive ? superiorsOf(selected.filter((name) => !matches(name))) : []

  return [...new Set([...selected, ...instead])]
    .filter(matches)
    .sort(inOrder)
    .map((name) => ({
      name,
      info: names.infos.get(name),
      attributes: names.attributes(name, args),
      childInfo: conditional && aboveSelected.has(name) ? criteria(args) : [],
    }))
}

/** Names subscribed to; with `%`, levels above them, which are not — RFC 3501 §6.3.9. */
export function listSubscribed(known: Mailboxes, pattern: ListPattern, wildcard: boolean): ListedName[] {
  const names = new Names(known)
  const listed = [...names.subscribed].filter((name) => pattern.matches(name))
  const above = wildcard
    ? [...superiorsOf(names.subscribed)].filter((name) => !names.subscribed.has(name) && pattern.matches(name))
    : []
  return [...listed, ...above].sort(inOrder).map((name) => ({
    name,
    info: names.infos.get(name),
    attributes: names.subscribed.has(name) ? [] : ['\\Noselect'],
    childInfo: [],
  }))
}

class Names {
  readonly infos: Map<string, MailboxInfo>
  readonly subscribed: Set<string>
  /** With a mailbox at or below it. */
  readonly all: Set<string>
  readonly #parents: Set<string>

  constructor({ mailboxes, subscribedOnly }: Mailboxes) {
    this.infos = new Map(mailboxes.map((info) => [info.name, info]))
    this.#parents = superiorsOf(this.infos.keys())
    this.all = new Set([...this.infos.keys(), ...this.#parents])
    const subscribed = mailboxes.filter((info) => info.subscribed).map(({ name }) => name)
    this.subscribed = new Set([...subscribed, ...subscribedOnly])
  }

  attributes(name: string, args: Pick<ListArguments, 'select' | 'return' | 'extended'>): string[] {
    const info = this.infos.get(name)
    const attributes: string[] = []
    // \NonExistent implies \Noselect, but only clients of RFC 5258 know it.
    if (!info) attributes.push(args.extended ? '\\NonExistent' : '\\Noselect')
    attributes.push(this.#parents.has(name) ? '\\HasChildren' : '\\HasNoChildren')
    if ((args.select.has('SUBSCRIBED') || args.return.has('SUBSCRIBED')) && this.subscribed.has(name))
      attributes.push('\\Subscribed')
    return [...attributes, ...(info?.specialUse ?? [])]
  }
}

function criteria({ select }: Pick<ListArguments, 'select'>): string[] {
  return (['SUBSCRIBED', 'SPECIAL-USE'] as const).filter((option) => select.has(option))
}

function superiorsOf(names: Iterable<string>): Set<string> {
  const superiors = new Set<string>()
  for (const name of names) {
    for (let at = name.lastIndexOf(SEPARATOR); at > 0; at = name.lastIndexOf(SEPARATOR, at - 1))
      superiors.add(name.slice(0, at))
  }
  return superiors
}

/** INBOX first, then by code point: the same order every time. */
function inOrder(a: string, b: string): number {
  if (a === b) return 0
  if (a === 'INBOX' || b === 'INBOX') return a === 'INBOX' ? -1 : 1
  return a < b ? -1 : 1
}
