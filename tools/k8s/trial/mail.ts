/** What users do, through the doors they have: accounts by the `postbus` command, mail in by submission and by MX, read over IMAP. */
import { randomUUID } from 'node:crypto'

import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'

import { until, type Pod } from './pod.ts'

export interface Account {
  address: string
  password: string
}

export interface Reach {
  /** PEM of who signed the mail certificate. */
  ca: string
  /** Address of this machine that mail comes from. */
  from: string
  /** Addresses of a service's pods. */
  at(service: string): string[]
}

const HOSTNAME = 'mail.example.org'
const ARRIVES_MS = 90_000
/** As many as a load has. */
const UNLIMITED = ['--messages-per-hour', '1M', '--recipients-per-hour', '1M']

export async function prepareAccounts(operator: Pod): Promise<Account[]> {
  const postbus = (...words: string[]): Promise<string> =>
    operator.exec(['/usr/local/bin/node', 'apps/console/src/cli/main.ts', ...words, '--json'])
  await postbus('domain', 'add', 'example.org')
  const accounts: Account[] = []
  for (const name of ['smith', 'jones']) {
    const address = `${name}@example.org`
    const answer = await postbus('account', 'add', address, '--generate-password', ...UNLIMITED)
    const password = /"password":\s*"([^"]+)"/.exec(answer)?.[1]
    if (password === undefined) throw new Error(`no password in ${answer}`)
    accounts.push({ address, password })
  }
  return accounts
}

/** Half by submission, half as another MTA would; all of it has to be in the mailbox, once. @returns what it came to */
export async function exchangeMail(reach: Reach, [sender, recipient]: Account[], count: number): Promise<string> {
  if (sender === undefined || recipient === undefined) throw new Error('two accounts are needed')
  const run = randomUUID()
  const tls = { ca: reach.ca, servername: HOSTNAME }
  const pick = (service: string, turn: number): string => {
    const all = reach.at(service)
    return all[turn % all.length] ?? ''
  }
  for (let index = 0; index < count; index++) {
    const byUser = index % 2 === 0
    const transport = createTransport({
      ...(byUser
        ? {
            host: pick('submission', index / 2),
            port: 2587,
            requireTLS: true,
            auth: { user: sender.address, pass: sender.password },
          }
        : { host: pick('inbound', (index - 1) / 2), port: 2025 }),
      ...{ tls, localAddress: reach.from, name: 'client.example.net' },
    })
    await insisting(() =>
      transport.sendMail({
        from: byUser ? sender.address : 'someone@example.net',
        to: recipient.address,
        subject: `${run} ${index}`,
        text: 'x'.repeat(index % 5 === 0 ? 600_000 : 600),
      }),
    )
    transport.close()
  }
  let subjects: string[] = []
  const ms = await until(`${count} messages in the mailbox`, ARRIVES_MS, async () => {
    subjects = await insisting(() => read(pick('imap', Math.floor(Math.random() * 2)), tls, recipient, run))
    return new Set(subjects).size >= count
  })
  if (subjects.length !== count) throw new Error(`${subjects.length} messages in the mailbox, ${count} were sent`)
  return `${count} of ${count}, the last within ${(ms / 1000).toFixed(1)} s`
}

async function read(host: string, tls: object, { address, password }: Account, run: string): Promise<string[]> {
  const client = new ImapFlow({
    host,
    port: 2993,
    secure: true,
    auth: { user: address, pass: password },
    tls,
    logger: false,
  })
  await client.connect()
  try {
    const lock = await client.getMailboxLock('INBOX')
    try {
      const found = await client.search({ header: { subject: run } }, { uid: true })
      if (found === false || found === undefined || found.length === 0) return []
      const messages = await client.fetchAll(found, { envelope: true, source: true }, { uid: true })
      return messages.filter(({ source }) => (source?.length ?? 0) > 600).map(({ envelope }) => envelope?.subject ?? '')
    } finally {
      lock.release()
    }
  } finally {
    await client.logout().catch(() => client.close())
  }
}

/** As clients do when a server is away for a moment, or says that it is busy. */
async function insisting<T>(work: () => Promise<T>): Promise<T> {
  let last: unknown
  let result: { value: T } | undefined
  await until('the mail service answers', ARRIVES_MS, async () => {
    try {
      result = { value: await work() }
      return true
    } catch (error) {
      last = error
      return false
    }
  }).catch((error: unknown) => {
    throw new Error(String(error), { cause: last })
  })
  if (result === undefined) throw new Error('no answer')
  return result.value
}
