/**
 * A mailstore in memory, complete and honest, for tests of the front end: every request of the contract, hints after every
 * change, refusals where the contract has them.
 */
import { RequestRefused } from '@postbus/bus'
import * as contracts from '@postbus/contracts'
import { MAX_NUMBER, NumberSet } from '@postbus/imap-wire'

import type { MemoryBlobs } from './blobs.ts'
import type { MemoryBus } from './bus.ts'
import type { MemoryDirectory } from './directory.ts'
import { cut, envelopeOf, parsed, previewOf, structureOf, withoutBinaryParts, type MemoryMessage } from './message.ts'
import { matches } from './search.ts'
import { matching, sorted, threaded } from './sort.ts'

interface Mailbox {
  mailbox: number
  account: string
  name: string
  uidValidity: number
  uidNext: number
  modseq: number
  recentFrom: number
  specialUse: string[]
  keywords: Set<string>
  messages: MemoryMessage[]
  vanished: { uid: number; modseq: number }[]
}

interface AccountState {
  mailboxes: Map<string, Mailbox>
  subscribed: Set<string>
  quotaBytes: number
  /** By mailbox number (0: the account) and entry. */
  metadata: Map<string, Buffer>
}

const MAX_MAILBOXES = 50
/** Messages in a page of a fetch: few, so that there are several. */
const FETCH_PAGE = 2
const MAX_METADATA = 5
const USES = ['\\Archive', '\\Drafts', '\\Junk', '\\Sent', '\\Trash', '\\Important']

export class MemoryMailstore {
  /** Messages larger than this are answered from blobs. */
  inlineBytes = 64 * 1024
  readonly #bus: MemoryBus
  readonly #blobs: MemoryBlobs
  readonly #directory: MemoryDirectory
  readonly #accounts = new Map<string, AccountState>()
  readonly #byKey = new Map<number, Mailbox>()
  #lastEmail = 0
  #lastMailbox = 999

  constructor(bus: MemoryBus, blobs: MemoryBlobs, directory: MemoryDirectory) {
    this.#bus = bus
    this.#blobs = blobs
    this.#directory = directory
  }

  /** As a delivery does it. */
  deliver(
    account: string,
    name: string,
    message: string | Buffer,
    options: { flags?: string[]; date?: string } = {},
  ): number {
    const mailbox = this.#named(account, name)
    const uid = this.#add(
      mailbox,
      Buffer.from(message),
      options.flags ?? [],
      options.date ?? '2024-02-01T10:00:00.000Z',
    )
    this.#changed(mailbox)
    return uid
  }

  make(account: string, name: string): void {
    this.#make(this.#account(account), `${account}.0`, name)
  }

  quota(account: string, bytes: number): void {
    this.#account(account).quotaBytes = bytes
  }

  /** Octets of one stored message. */
  stored(account: string, name: string, uid: number): Buffer | undefined {
    return this.#named(account, name).messages.find((message) => message.uid === uid)?.bytes
  }

  async answer(): Promise<void> {
    const bus = this.#bus
    await bus.answer(contracts.listMailboxes, async ({ token }) => {
      const { mailboxes, subscribed } = this.#of(token)
      return {
        mailboxes: [...mailboxes.values()].map((mailbox) => this.#info(mailbox)),
        subscribedOnly: [...subscribed].filter((name) => !mailboxes.has(name)),
      }
    })
    await bus.answer(contracts.mailboxStatus, async ({ token, name }) => this.#info(this.#mailbox(token, name)))
    await bus.answer(contracts.createMailbox, async ({ token, name, specialUse }) => {
      const state = this.#of(token)
      if (name.split('/').includes('') || specialUse.some((use) => !USES.includes(use)))
        throw new RequestRefused('invalid', 'no such name or use')
      if (state.mailboxes.has(name)) throw new RequestRefused('exists', name)
      if (state.mailboxes.size >= MAX_MAILBOXES) throw new RequestRefused('limit', 'too many')
      const levels = name.split('/')
      for (let depth = 1; depth < levels.length; depth++) this.#make(state, token, levels.slice(0, depth).join('/'))
      return this.#info(this.#make(state, token, name, specialUse))
    })
    await bus.answer(contracts.deleteMailbox, async ({ token, name }) => {
      const { mailboxes } = this.#of(token)
      if (name === 'INBOX') throw new RequestRefused('invalid', 'INBOX stays')
      const mailbox = mailboxes.get(name)
      const above = [...mailboxes.keys()].some((other) => other.startsWith(`${name}/`))
      if (!mailbox) throw new RequestRefused(above ? 'hasChildren' : 'noSuchMailbox', name)
      mailboxes.delete(name)
      this.#byKey.delete(mailbox.mailbox)
      mailbox.modseq++
      this.#changed(mailbox)
      return { mailbox: mailbox.mailbox }
    })
    await bus.answer(contracts.renameMailbox, async ({ token, from, to }) => this.#rename(token, from, to))
    await bus.answer(contracts.subscribeMailbox, async ({ token, name, subscribed }) => {
      if (subscribed) this.#of(token).subscribed.add(name)
      else this.#of(token).subscribed.delete(name)
      return {}
    })
    await bus.answer(contracts.quotaOf, async ({ token }) => {
      const { mailboxes, quotaBytes } = this.#of(token)
      const messages = [...mailboxes.values()].flatMap((mailbox) => mailbox.messages)
      const usedBytes = messages.reduce((sum, { bytes }) => sum + bytes.length, 0)
      return { usedBytes, messages: messages.length, limitBytes: quotaBytes === Infinity ? null : quotaBytes }
    })
    await this.#answerMetadata()
    await this.#answerSelected()
    await this.#answerChanges()
  }

  async #answerMetadata(): Promise<void> {
    const store = this
    const place = (token: string, name: string): number => (name === '' ? 0 : this.#mailbox(token, name).mailbox)
    await this.#bus.answerRows(contracts.getMetadata, async function* ({ token, name, entries, depth }) {
      const at = place(token, name)
      for (const [key, value] of [...store.#of(token).metadata].sort()) {
        const [mailbox, ...words] = key.split(' ')
        const entry = words.join(' ')
        if (Number(mailbox) === at && entries.some((above) => isAmong(entry, above, depth)))
          yield { row: { entry }, bytes: [value] }
      }
    })
    await this.#bus.answer(contracts.setMetadata, async ({ token, name, entries }) => {
      const [at, { metadata }] = [place(token, name), this.#of(token)]
      const changed = new Map(metadata)
      for (const { entry, value } of entries)
        if (value === null) changed.delete(`${at} ${entry}`)
        else changed.set(`${at} ${entry}`, Buffer.from(value, 'base64'))
      if (changed.size > MAX_METADATA) throw new RequestRefused('limit', 'too many')
      this.#of(token).metadata = changed
      return {}
    })
  }

  async #answerSelected(): Promise<void> {
    const store = this
    const bus = this.#bus
    await bus.answerRows(contracts.openMailbox, async function* ({ token, name, readOnly }) {
      const mailbox = store.#mailbox(token, name)
      const { recentFrom } = mailbox
      const firstUnseen = mailbox.messages.find(({ flags }) => !flags.includes('\\Seen'))?.uid
      const info = store.#info(mailbox)
      const uids = NumberSet.from(mailbox.messages.map(({ uid }) => uid))
      if (!readOnly) mailbox.recentFrom = mailbox.uidNext
      yield { row: { kind: 'mailbox' as const, info, recentFrom, ...(firstUnseen !== undefined && { firstUnseen }) } }
      for (const piece of uids.pieces(20)) yield { row: { kind: 'uids' as const, uids: piece } }
    })
    await bus.answerRows(contracts.syncMailbox, async function* ({ token, mailbox: key, modseq, ...asked }) {
      const mailbox = store.#selected(token, key)
      const gone = mailbox.vanished.filter((vanished) => vanished.modseq > modseq).map(({ uid }) => uid)
      const now = { highestModseq: mailbox.modseq, uidNext: mailbox.uidNext, recentFrom: mailbox.recentFrom }
      if (asked.untilVanished && gone.length > 0) return
      if (asked.claimRecent) mailbox.recentFrom = mailbox.uidNext
      if (gone.length > 0) yield { row: { kind: 'vanished' as const, uids: NumberSet.from(gone).toString() } }
      for (const { uid, modseq: at, flags } of [...mailbox.messages])
        if (at > modseq) yield { row: { kind: 'message' as const, uid, modseq: at, flags: [...flags] } }
      yield { row: { kind: 'now' as const, ...now } }
    })
    await bus.answerRows(contracts.fetchMessages, async function* ({ token, mailbox: key, ...asked }) {
      const { uids, want, markSeen, changedSince = 0 } = asked
      const mailbox = store.#selected(token, key)
      const found = store.#among(mailbox, uids).filter(({ modseq }) => modseq > changedSince)
      for (let from = 0; from < found.length; from += FETCH_PAGE) {
        const messages = found.slice(from, from + FETCH_PAGE)
        const flags = new contracts.FlagColumns()
        const sections = new contracts.SectionColumns()
        for (const message of messages) {
          const marks = markSeen && !message.flags.includes('\\Seen')
          if (marks) store.#setFlags(mailbox, message, [...message.flags, '\\Seen'], ++mailbox.modseq)
          if (marks) store.#changed(mailbox)
          flags.add(want.flags || marks ? message.flags : undefined)
          const { answers, strings } = cut(message, want.sections)
          sections.add(
            answers,
            strings.map((string) => [string]),
          )
        }
        const page = {
          uids: messages.map(({ uid }) => uid),
          modseqs: messages.map(({ modseq }) => modseq),
          ...flags.columns(),
          ...(want.internalDate && { internalDates: messages.map(({ internalDate }) => Date.parse(internalDate)) }),
          ...(want.saveDate && { saveDates: messages.map(({ saveDate }) => Date.parse(saveDate)) }),
          ...(want.emailId && { emailIds: messages.map(({ emailId }) => emailId) }),
          ...(want.size && { sizes: messages.map(({ bytes }) => bytes.length) }),
          ...(want.envelope && { envelopes: messages.map(envelopeOf) }),
          ...(want.structure && { structures: messages.map((message) => structureOf(message, true)) }),
          ...(want.basicStructure && { basicStructures: messages.map((message) => structureOf(message, false)) }),
          ...(want.preview && { previews: messages.map(previewOf) }),
          ...(want.sections.length > 0 && sections.columns()),
        }
        yield { row: page, bytes: [sections.octets()] }
      }
    })
    await bus.answerRows(contracts.searchMailbox, async function* ({ token, mailbox: key, key: program }) {
      const found: number[] = []
      let highestModseq = 0
      for (const message of store.#selected(token, key).messages) {
        if (!(await matches(message, program))) continue
        found.push(message.uid)
        highestModseq = Math.max(highestModseq, message.modseq)
      }
      const modseq = JSON.stringify(program).includes('"modseq"') ? { highestModseq } : {}
      for (const piece of NumberSet.from(found).pieces(10)) yield { row: { uids: piece, ...modseq } }
    })
    await bus.answerRows(contracts.sortMailbox, async function* ({ token, mailbox: key, key: program, criteria }) {
      const found = await matching(store.#selected(token, key).messages, program)
      for (const { uid } of sorted(found, criteria)) yield { row: { uids: [uid] } }
    })
    await bus.answerRows(contracts.threadMailbox, async function* ({ token, mailbox: key, key: program, algorithm }) {
      const found = await matching(store.#selected(token, key).messages, program)
      for (const threads of threaded(found, algorithm)) yield { row: { threads } }
    })
  }

  async #answerChanges(): Promise<void> {
    const store = this
    const bus = this.#bus
    await bus.answerRows(contracts.storeFlags, async function* ({ token, mailbox: key, uids, mode, ...asked }) {
      const { flags, unchangedSince = Infinity } = asked
      const mailbox = store.#selected(token, key)
      const modseq = mailbox.modseq + 1
      const among = store.#among(mailbox, uids)
      const conflict = among.filter((message) => message.modseq > unchangedSince).map(({ uid }) => uid)
      const unchanged = among.filter((message) => message.modseq <= unchangedSince)
      const changed = unchanged.map((message) => {
        const previousModseq = message.modseq
        const wanted = combined(message.flags, mode, flags)
        if ([...wanted].sort().join(' ') !== [...message.flags].sort().join(' ')) {
          mailbox.modseq = modseq
          store.#setFlags(mailbox, message, wanted, modseq)
        }
        return {
          kind: 'stored' as const,
          uid: message.uid,
          modseq: message.modseq,
          flags: [...message.flags],
          previousModseq,
        }
      })
      if (mailbox.modseq === modseq) store.#changed(mailbox)
      for (const row of changed) yield { row }
      if (conflict.length > 0) yield { row: { kind: 'conflict' as const, uids: NumberSet.from(conflict).toString() } }
    })
    await bus.answer(contracts.copyMessages, async ({ token, mailbox: key, uids, to, move, atLeast }) => {
      const mailbox = this.#selected(token, key)
      const target = this.#of(token).mailboxes.get(to)
      if (!target) throw new RequestRefused('noSuchTarget', to)
      const among = this.#among(mailbox, uids)
      if (among.length < atLeast) throw new RequestRefused('noSuchMessage', 'gone')
      if (!move)
        this.#spend(
          token,
          among.reduce((sum, { bytes }) => sum + bytes.length, 0),
        )
      const copies = among.map((message) => this.#copy(target, message))
      if (move) this.#remove(mailbox, new Set(among))
      this.#changed(target, mailbox)
      const from = NumberSet.from(among.map(({ uid }) => uid)).toString()
      return { uidValidity: target.uidValidity, from, to: NumberSet.from(copies).toString() }
    })
    await bus.answer(contracts.expungeMessages, async ({ token, mailbox: key, uids, any }) => {
      const mailbox = this.#selected(token, key)
      const among = this.#among(mailbox, uids ?? `1:${MAX_NUMBER}`)
      const gone = among.filter(({ flags }) => any || flags.includes('\\Deleted'))
      this.#remove(mailbox, new Set(gone))
      if (gone.length > 0) this.#changed(mailbox)
      const [vanished = '', ...others] = NumberSet.from(gone.map(({ uid }) => uid)).pieces(10)
      return { vanished, more: others.length > 0, highestModseq: mailbox.modseq }
    })
    await bus.answer(contracts.appendMessages, async ({ token, name, messages, replaces }) => {
      const mailbox = this.#mailbox(token, name)
      const contents: Buffer[] = []
      for (const { blob, octets, binary } of messages) {
        const held = blob === undefined ? Buffer.from(octets ?? '', 'base64') : this.#blobs.held.get(blob)
        if (!held) throw new RequestRefused('noSuchBlob', 'gone')
        contents.push(binary ? await withoutBinaryParts(held) : held)
      }
      const source = replaces && this.#selected(token, replaces.mailbox)
      const replaced = source?.messages.find(({ uid }) => uid === replaces?.uid)
      if (source && !replaced) throw new RequestRefused('noSuchMessage', 'gone')
      const freed = replaced?.bytes.length ?? 0
      this.#spend(
        token,
        contents.reduce((sum, { length }) => sum + length, -freed),
      )
      const uids = messages.map(({ flags, internalDate }, index) =>
        this.#add(mailbox, contents[index] ?? Buffer.alloc(0), flags, internalDate ?? new Date().toISOString()),
      )
      for (const { blob } of messages) if (blob !== undefined) await this.#blobs.delete(blob)
      if (source && replaced) this.#remove(source, new Set([replaced]))
      this.#changed(mailbox, ...(source ? [source] : []))
      return { uidValidity: mailbox.uidValidity, uids: NumberSet.from(uids).toString() }
    })
  }

  #rename(token: string, from: string, to: string): Record<string, never> {
    const state = this.#of(token)
    const mailbox = state.mailboxes.get(from)
    if (!mailbox) throw new RequestRefused('noSuchMailbox', from)
    if (state.mailboxes.has(to)) throw new RequestRefused('exists', to)
    if (from === 'INBOX') {
      // Its messages move, and so do not those below it — RFC 9051 §6.3.6.
      const target = this.#make(state, token, to)
      for (const message of mailbox.messages) this.#copy(target, message)
      this.#remove(mailbox, new Set(mailbox.messages))
      this.#changed(mailbox, target)
      return {}
    }
    for (const [name, each] of [...state.mailboxes]) {
      if (name !== from && !name.startsWith(`${from}/`)) continue
      state.mailboxes.delete(name)
      each.name = `${to}${name.slice(from.length)}`
      state.mailboxes.set(each.name, each)
    }
    return {}
  }

  #account(account: string): AccountState {
    const known = this.#accounts.get(account)
    if (known) return known
    const state: AccountState = {
      mailboxes: new Map(),
      subscribed: new Set(),
      quotaBytes: Infinity,
      metadata: new Map(),
    }
    this.#accounts.set(account, state)
    this.#make(state, `${account}.0`, 'INBOX')
    return state
  }

  #of(token: string): AccountState {
    return this.#account(this.#directory.check(token))
  }

  #make(state: AccountState, token: string, name: string, specialUse: string[] = []): Mailbox {
    const known = state.mailboxes.get(name)
    if (known) return known
    const number = ++this.#lastMailbox
    const mailbox: Mailbox = {
      ...{ mailbox: number, account: token.split('.')[0] ?? '', name, uidValidity: number, uidNext: 1, modseq: 1 },
      ...{ recentFrom: 1, specialUse, keywords: new Set(), messages: [], vanished: [] },
    }
    state.mailboxes.set(name, mailbox)
    this.#byKey.set(number, mailbox)
    return mailbox
  }

  #named(account: string, name: string): Mailbox {
    const mailbox = this.#account(account).mailboxes.get(name)
    if (!mailbox) throw new RequestRefused('noSuchMailbox', name)
    return mailbox
  }

  #mailbox(token: string, name: string): Mailbox {
    return this.#named(this.#directory.check(token), name)
  }

  #selected(token: string, key: number): Mailbox {
    const account = this.#directory.check(token)
    const mailbox = this.#byKey.get(key)
    if (mailbox?.account !== account) throw new RequestRefused('noSuchMailbox', String(key))
    return mailbox
  }

  #among({ messages }: Mailbox, uids: string): MemoryMessage[] {
    const set = NumberSet.parse(uids)
    return messages.filter(({ uid }) => set.has(uid))
  }

  #copy(target: Mailbox, { bytes, flags, internalDate, emailId }: MemoryMessage): number {
    return this.#add(target, bytes, flags, internalDate, emailId)
  }

  #add(
    mailbox: Mailbox,
    bytes: Buffer,
    flags: string[],
    internalDate: string,
    emailId = `M${++this.#lastEmail}`,
  ): number {
    const uid = mailbox.uidNext++
    const message: MemoryMessage = {
      uid,
      modseq: ++mailbox.modseq,
      flags: [],
      internalDate,
      saveDate: new Date().toISOString(),
      emailId,
      bytes,
      root: parsed(bytes),
    }
    this.#setFlags(mailbox, message, flags, mailbox.modseq)
    if (bytes.length > this.inlineBytes) {
      message.blob = { key: `content/${mailbox.mailbox}.${uid}`, lead: 10 }
      this.#blobs.held.set(message.blob.key, bytes.subarray(message.blob.lead))
    }
    mailbox.messages.push(message)
    return uid
  }

  #setFlags(mailbox: Mailbox, message: MemoryMessage, flags: readonly string[], modseq: number): void {
    message.flags = [...flags]
    message.modseq = modseq
    for (const flag of flags) if (!flag.startsWith('\\')) mailbox.keywords.add(flag)
  }

  #remove(mailbox: Mailbox, gone: ReadonlySet<MemoryMessage>): void {
    if (gone.size === 0) return
    const modseq = ++mailbox.modseq
    mailbox.messages = mailbox.messages.filter((message) => !gone.has(message))
    for (const { uid } of gone) mailbox.vanished.push({ uid, modseq })
  }

  #spend(token: string, octets: number): void {
    const { mailboxes, quotaBytes } = this.#of(token)
    const used = [...mailboxes.values()]
      .flatMap(({ messages }) => messages)
      .reduce((sum, { bytes }) => sum + bytes.length, 0)
    if (used + octets > quotaBytes) throw new RequestRefused('overQuota', 'full')
  }

  #changed(...mailboxes: Mailbox[]): void {
    for (const { account, mailbox, modseq, uidNext } of mailboxes) {
      const change = { mailbox, highestModseq: modseq, uidNext }
      this.#bus.hint(contracts.MailboxChanged, { account, mailboxes: [change] })
    }
  }

  #info(box: Mailbox) {
    const { mailbox, account, name, uidValidity, uidNext, modseq, messages, recentFrom, keywords, specialUse } = box
    return {
      ...{ mailbox, mailboxId: `F${mailbox}`, name, uidValidity, uidNext, highestModseq: modseq, specialUse },
      messages: messages.length,
      unseen: messages.filter(({ flags }) => !flags.includes('\\Seen')).length,
      deleted: messages.filter(({ flags }) => flags.includes('\\Deleted')).length,
      deletedSize: messages
        .filter(({ flags }) => flags.includes('\\Deleted'))
        .reduce((sum, { bytes }) => sum + bytes.length, 0),
      size: messages.reduce((sum, { bytes }) => sum + bytes.length, 0),
      recent: messages.filter(({ uid }) => uid >= recentFrom).length,
      keywords: [...keywords],
      subscribed: this.#account(account).subscribed.has(name),
    }
  }
}

function isAmong(entry: string, above: string, depth: '0' | '1' | 'infinity'): boolean {
  if (entry === above || depth === '0') return entry === above
  return entry.startsWith(`${above}/`) && (depth === 'infinity' || !entry.includes('/', above.length + 1))
}

function combined(before: readonly string[], mode: 'add' | 'remove' | 'replace', flags: readonly string[]): string[] {
  const named = new Map(flags.map((flag) => [flag.toLowerCase(), flag]))
  if (mode === 'replace') return [...named.values()]
  const kept = before.filter((flag) => !named.has(flag.toLowerCase()))
  return mode === 'remove'
    ? kept
    : [
        ...before,
        ...[...named].filter(([key]) => !before.some((flag) => flag.toLowerCase() === key)).map(([, flag]) => flag),
      ]
}
