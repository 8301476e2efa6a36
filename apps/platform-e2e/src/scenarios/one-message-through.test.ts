/** The way through, with the clients people have: swaks sends, curl and python's imaplib read, openssl verifies. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { imapClient } from '../mailboxes.ts'
import { startPlatform, until, type Ready } from '../platform.ts'

const run = promisify(execFile)

const READ_WITH_IMAPLIB = `
import imaplib, ssl, sys
host, port, ca, user, password, subject = sys.argv[1:]
client = imaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca))
client.login(user, password)
client.select('INBOX')
for _ in range(200):
    client.noop()
    _, found = client.search(None, 'ALL')
    for number in found[0].split():
        _, data = client.fetch(number, '(BODY.PEEK[])')
        if subject.encode() in data[0][1]:
            sys.stdout.buffer.write(data[0][1])
            client.logout()
            sys.exit(0)
sys.exit('no such message')
`

const passwordOf = ({ accounts }: Ready, address: string): string =>
  accounts.find((account) => account.address === address)?.password ?? assert.fail(address)

async function swaks(ready: Ready, port: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('swaks', ['--server', ready.host, '--port', String(ready.ports[port]), ...args])
  return stdout
}

async function readBack(ready: Ready, user: string, subject: string): Promise<string> {
  const args = [ready.host, String(ready.ports['imaps']), ready.ca, user, passwordOf(ready, user), subject]
  const { stdout } = await run('python3', ['-c', READ_WITH_IMAPLIB, ...args])
  return stdout
}

test('what is submitted or received is read over IMAP, and nothing is relayed for strangers', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const smith = ['--auth-user', 'smith@example.org', '--auth-password', passwordOf(ready, 'smith@example.org')]

  await t.test('587 with STARTTLS and AUTH', async () => {
    const said = await swaks(
      ready,
      'submission',
      '--tls',
      '--auth',
      'PLAIN',
      ...smith,
      '--from',
      'smith@example.org',
      '--to',
      'jones@example.org',
      '--header',
      'Subject: by-587',
    )
    assert.match(said, /<~ {2}250 2\.\d\.\d .*[0-9A-Z]{26}/)
    const message = await readBack(ready, 'jones@example.org', 'by-587')
    assert.match(message, /^Return-Path: <smith@example\.org>\r?\n/)
    assert.match(message, /^Received: .*with ESMTPSA/ms)
  })

  await t.test('465 with implicit TLS', async () => {
    await swaks(
      ready,
      'submissions',
      '--tlsc',
      '--auth',
      'LOGIN',
      ...smith,
      '--from',
      'smith@example.org',
      '--to',
      'brown@example.org',
      '--header',
      'Subject: by-465',
    )
    await readBack(ready, 'brown@example.org', 'by-465')
  })

  await t.test('port 25, to the alias domain, in another case', async () => {
    await swaks(ready, 'mx', '--from', 'a@example.com', '--to', 'Jones@EXAMPLE.NET', '--header', 'Subject: by-25')
    const message = await readBack(ready, 'jones@example.org', 'by-25')
    assert.match(message, /^Delivered-To: jones@example\.org\r?$/m)
  })

  await t.test('curl reads by imaps and verifies the certificate', async () => {
    const login = `jones@example.org:${passwordOf(ready, 'jones@example.org')}`
    const url = `imaps://localhost:${ready.ports['imaps']}/INBOX;MAILINDEX=1`
    const { stdout } = await run('curl', ['-sS', '--cacert', ready.ca, '-u', login, url])
    assert.match(stdout, /Subject: by-587/)
  })

  await t.test('unknown users and foreign domains are refused at RCPT', async () => {
    const refused = async (to: string): Promise<string> =>
      swaks(ready, 'mx', '--from', 'a@example.com', '--to', to).catch((error: { stdout: string }) => error.stdout)
    assert.match(await refused('green@example.org'), /<\*\* 550 5\.1\.1 /)
    assert.match(await refused('someone@example.com'), /<\*\* 550 5\.7\.1 /)
  })

  await t.test('submission wants authentication, and a sender of one’s own', async () => {
    const refused = async (...args: string[]): Promise<string> =>
      swaks(ready, 'submission', '--tls', '--to', 'jones@example.org', ...args).catch(
        (error: { stdout: string }) => error.stdout,
      )
    assert.match(await refused('--from', 'smith@example.org'), /<\S+ 530 5\.7\.0 /)
    assert.match(await refused('--auth', 'PLAIN', ...smith, '--from', 'jones@example.org'), /<\S+ 550 5\.7\.1 /)
  })

  await t.test('an idling client is told of a new message', async () => {
    const client = await imapClient(ready, 'brown@example.org')
    const { exists } = await client.mailboxOpen('INBOX')
    const told = new Promise<number>((resolve) => client.once('exists', ({ count }) => resolve(count)))
    const idling = client.idle()
    await swaks(ready, 'mx', '--from', 'a@example.com', '--to', 'brown@example.org', '--header', 'Subject: while-idle')
    assert.equal(await told, exists + 1)
    await client.logout()
    await idling
  })

  await t.test('Ctrl-C drains and leaves nothing running', async () => {
    const { pids } = platform.ready()
    assert.equal(await platform.stop(), 0)
    const gone = (pid: number): boolean => {
      try {
        process.kill(pid, 0)
        return false
      } catch {
        return true
      }
    }
    await until(
      () => Object.values(pids).every(gone),
      60_000,
      () => `still running: ${JSON.stringify(pids)}`,
    )
  })
})
