/**
 * Addresses of From, Sender, Reply-To, To, Cc and Bcc.
 *
 * Never throws; what is broken is returned as far as it was understood, with the missing halves absent. Where RFC 5322
 * says nothing about broken input, the result is the one Dovecot shows in ENVELOPE.
 *
 * STANDARDS  RFC 5322 §3.4, §4.4 (obsolete addressing); RFC 6532 §3.2
 */
import { Scanner } from './scan.ts'

export interface MailboxAddress {
  kind: 'mailbox'
  /** Display name without quotes, not RFC 2047-decoded; for `a@b (Name)` the comment. */
  name?: string
  /** Obsolete source route, as in `@x,@y`. */
  route?: string
  /** Absent if there was none. */
  localPart?: string
  /** Absent if there was none or it was not a domain. */
  domain?: string
  /** The angle brackets did not hold exactly one address. */
  syntaxError?: true
  /** What stood in place of a source route was none. */
  invalidRoute?: true
}

export interface AddressGroup {
  kind: 'group'
  name: string
  members: MailboxAddress[]
}

/** An address as it is shown: neither half may be missing in ENVELOPE, and of what is broken these words tell, as Dovecot's do. */
export function shownAddress(address: MailboxAddress): { route?: string; localPart: string; domain: string } {
  const { route, localPart = 'MISSING_MAILBOX', domain = 'MISSING_DOMAIN', syntaxError, invalidRoute } = address
  return {
    ...(invalidRoute ? { route: 'INVALID_ROUTE' } : route !== undefined && { route }),
    localPart,
    domain: syntaxError ? 'SYNTAX_ERROR' : domain,
  }
}

export interface AddressList {
  addresses: (MailboxAddress | AddressGroup)[]
  /** False if reading stopped before the end: what follows was not understood, and no decision may rest on the list. */
  complete: boolean
}

export function parseAddressList(value: string): (MailboxAddress | AddressGroup)[] {
  return readAddressList(value).addresses
}

export function readAddressList(value: string): AddressList {
  const scanner = new Scanner(value)
  const addresses: (MailboxAddress | AddressGroup)[] = []
  if (!scanner.skip()) return { addresses, complete: false }
  let closed = true
  while (!scanner.ended || !closed) {
    addresses.push(readAddress(scanner))
    closed = true
    if (!scanner.take(',')) break
    closed = scanner.skip()
  }
  return { addresses, complete: scanner.ended && closed && addresses.every(isWhole) }
}

function isWhole(address: MailboxAddress | AddressGroup): boolean {
  if (address.kind === 'group') return address.members.every(isWhole)
  return (
    address.localPart !== undefined && address.domain !== undefined && !address.syntaxError && !address.invalidRoute
  )
}

function readAddress(scanner: Scanner): MailboxAddress | AddressGroup {
  const start = scanner.at
  const { text, isWhole } = readPhrase(scanner)
  // An unnamed group is none by the RFC, but nothing else can begin with a colon.
  if (isWhole && scanner.take(':')) return { kind: 'group', name: text, members: readMembers(scanner) }
  return readMailbox(scanner, start, isWhole ? text : undefined)
}

/** Up to the semicolon, which may be missing at the end. */
function readMembers(scanner: Scanner): MailboxAddress[] {
  const members: MailboxAddress[] = []
  if (!scanner.skip() || scanner.ended) return members
  if (scanner.peek() !== ';') {
    do {
      if (!scanner.skip() || scanner.ended) break
      const start = scanner.at
      const { text, isWhole } = readPhrase(scanner)
      members.push(readMailbox(scanner, start, isWhole ? text : undefined))
    } while (scanner.take(','))
  }
  if (scanner.take(';')) scanner.skip()
  return members
}

/** name-addr or addr-spec. The phrase in front has been read: `phrase`, undefined if it could not be. */
function readMailbox(scanner: Scanner, start: number, phrase: string | undefined): MailboxAddress {
  if (phrase !== undefined && scanner.peek() === '<') {
    const address: MailboxAddress = { kind: 'mailbox' }
    if (phrase !== '') address.name = phrase
    readAngle(scanner, address)
    return address
  }
  scanner.at = start
  return readAddrSpec(scanner)
}

/** What is neither `<…>` nor `local@domain` is a local part if it is a single word, otherwise a name. */
function readAddrSpec(scanner: Scanner): MailboxAddress {
  const address: MailboxAddress = { kind: 'mailbox' }
  const quoted = scanner.peek() === '"'
  scanner.comment = ''
  const local = readLocalPart(scanner)
  if (local.isWhole) address.localPart = local.text
  if (scanner.take('@')) {
    const domain = readDomain(scanner)
    if (domain !== undefined) address.domain = domain
  } else if (scanner.comment === '') {
    const { text: more } = readPhrase(scanner)
    if (more !== '') address.name = `${local.text} ${more}`
    else if (quoted && local.isWhole) address.name = local.text
    if (address.name !== undefined) delete address.localPart
    return address
  }
  if (scanner.comment !== '') address.name = scanner.comment
  return address
}

function readAngle(scanner: Scanner, address: MailboxAddress): void {
  scanner.at++
  scanner.skip()
  if (scanner.peek() === '@') {
    const route = readRoute(scanner)
    if (route !== undefined && scanner.take(':')) address.route = route
    else address.invalidRoute = true
    scanner.skip()
  }
  if (scanner.peek() === '>' || readAngleSpec(scanner, address)) {
    if (scanner.take('>') && scanner.skip()) return
  }
  address.syntaxError = true
  delete address.domain
}

/** False where it breaks off: not even the bracket is looked for then, and the list ends here, as in Dovecot. */
function readAngleSpec(scanner: Scanner, address: MailboxAddress): boolean {
  const local = readLocalPart(scanner)
  if (!local.isWhole) return false
  address.localPart = local.text
  if (!scanner.take('@')) return true
  const domain = readDomain(scanner)
  if (domain === undefined) return false
  address.domain = domain
  return true
}

/** RFC 5322 §4.4: obs-domain-list, the obsolete way through named hosts. */
function readRoute(scanner: Scanner): string | undefined {
  const hosts: string[] = []
  while (scanner.take('@')) {
    scanner.skip()
    const domain = readDomain(scanner)
    if (domain === undefined) return undefined
    hosts.push(`@${domain}`)
    while (scanner.take(',')) scanner.skip()
  }
  return hosts.join(',')
}

/** What was read of something, perhaps not to its end. */
interface Read {
  text: string
  isWhole: boolean
}

/** Dots may stand anywhere: providers have given out such addresses, and they receive mail. */
function readLocalPart(scanner: Scanner): Read {
  if (scanner.peek() === '"') {
    const { text, isClosed } = scanner.quotedText()
    return { text, isWhole: isClosed && scanner.skip() }
  }
  let text = ''
  for (;;) {
    const dots = scanner.at
    while (scanner.peek() === '.') scanner.at++
    text += scanner.text.slice(dots, scanner.at)
    const atom = scanner.atom()
    text += atom
    if (atom === '' && (text === '' || !(scanner.ended || scanner.peek() === '@'))) return { text, isWhole: false }
    if (!scanner.skip()) return { text, isWhole: false }
    if (scanner.peek() !== '.') return { text, isWhole: true }
  }
}

function readDomain(scanner: Scanner): string | undefined {
  if (!scanner.skip()) return undefined
  if (scanner.peek() === '[') {
    const literal = scanner.domainLiteral()
    return literal !== undefined && scanner.skip() ? literal : undefined
  }
  let domain = ''
  for (;;) {
    const atom = scanner.atom()
    if (atom === '' || !scanner.skip()) return undefined
    domain += atom
    if (!scanner.take('.')) return domain
    domain += '.'
    if (!scanner.skip()) return undefined
  }
}

/** Words joined by one space; not whole if a quote or comment is not closed. RFC 5322 §4.1 allows dots. */
function readPhrase(scanner: Scanner): Read {
  let phrase = ''
  if (scanner.peek() === '.') return { text: phrase, isWhole: false }
  for (let words = 0; ; words++) {
    let word = ''
    let isClosed = true
    if (scanner.peek() === '"') ({ text: word, isClosed } = scanner.quotedText())
    else {
      const start = scanner.at
      while (scanner.atom() !== '' || scanner.take('.'));
      if (words > 0 && scanner.at === start) return { text: phrase, isWhole: true }
      word = scanner.text.slice(start, scanner.at)
    }
    phrase = words === 0 ? word : `${phrase} ${word}`
    if (!isClosed || !scanner.skip()) return { text: phrase, isWhole: false }
  }
}
