/** The ways a message gets in, with software others wrote. The bytes given are the bytes sent. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

import { createTransport, type SendMailOptions } from 'nodemailer'

import type { Ready } from './platform.ts'
import type { Account } from './postbus.ts'

const run = promisify(execFile)

export interface Outgoing {
  from: Account
  to: readonly string[]
  bytes: Buffer
}

/** @returns the queue id the reply names. */
export type Send = (ready: Ready, message: Outgoing) => Promise<string>

/** 587 with STARTTLS. */
export const byNodemailer: Send = async (ready, { from, to, bytes }) => {
  const transport = createTransport({
    host: 'localhost',
    port: ready.ports['submission'],
    requireTLS: true,
    tls: { ca: await readFile(ready.ca, 'utf8') },
    auth: { user: from.address, pass: from.password },
  })
  try {
    const envelope = { from: from.address, to: [...to], use8BitMime: true }
    const { response } = await transport.sendMail({ envelope, raw: bytes })
    return queueIdOf(response)
  } finally {
    transport.close()
  }
}

/** A message with a short text, by 587. @returns its queue id */
export async function submit(
  ready: Ready,
  from: Account,
  to: string[],
  { dsn, text = 'The body of the message.\r\n' }: Pick<SendMailOptions, 'dsn'> & { text?: string } = {},
): Promise<string> {
  const transport = createTransport({
    host: 'localhost',
    port: ready.ports['submission'],
    requireTLS: true,
    tls: { ca: await readFile(ready.ca, 'utf8') },
    auth: { user: from.address, pass: from.password },
  })
  try {
    const message = { from: from.address, to, subject: 'hello', text, ...(dsn && { dsn }) }
    return queueIdOf((await transport.sendMail(message)).response)
  } finally {
    transport.close()
  }
}

const SMTPLIB = `
import smtplib, ssl, sys
port, ca, user, password, *to = sys.argv[1:]
with smtplib.SMTP_SSL('localhost', int(port), context=ssl.create_default_context(cafile=ca)) as client:
    client.login(user, password)
    client.ehlo_or_helo_if_needed()
    assert client.mail(user, ['BODY=8BITMIME'])[0] == 250
    for one in to:
        assert client.rcpt(one)[0] == 250
    code, words = client.data(sys.stdin.buffer.read())
    print(code, words.decode())
`

/** 465 with implicit TLS. */
export const bySmtplib: Send = async (ready, { from, to, bytes }) =>
  queueIdOf(
    await piped('python3', ['-c', SMTPLIB, String(ready.ports['submissions']), ready.ca, ...login(from), ...to], bytes),
  )

/** 465, by curl; its words hold the whole conversation. */
export const byCurl: Send = async (ready, { from, to, bytes }) => {
  const args = ['-sSv', '--cacert', ready.ca, '-u', login(from).join(':'), '--mail-from', from.address]
  const url = `smtps://localhost:${ready.ports['submissions']}/client.example.org`
  return queueIdOf(await piped('curl', [...args, ...to.flatMap((one) => ['--mail-rcpt', one]), '-T', '-', url], bytes))
}

export interface Incoming {
  from: string
  to: string
  header?: string[]
}

/** Port 25, a message of swaks' own. @returns the conversation, whether it ended well or not. */
export async function bySwaks(ready: Ready, { from, to, header = [] }: Incoming): Promise<string> {
  const server = ['--server', ready.host, '--port', String(ready.ports['mx']), '--helo', 'client.example.com']
  const fields = header.flatMap((field) => ['--header', field])
  return run('swaks', [...server, '--from', from, '--to', to, ...fields]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
}

export function queueIdOf(reply: string): string {
  const id = /^.*250 2\.\d\.\d .*?\b([0-9A-HJKMNP-TV-Z]{26})\b/m.exec(reply)?.[1]
  if (id === undefined) throw new Error(`no queue id in:\n${reply}`)
  return id
}

const login = ({ address, password }: Account): [string, string] => [address, password]

/** Standard output and standard error of a command that reads its standard input. */
export async function piped(command: string, args: string[], input: Buffer): Promise<string> {
  const child = spawn(command, args)
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => void (said += text))
  child.stdin.on('error', () => {}) // It ended early: its exit code and its words tell more.
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${said}`)
  return said
}
