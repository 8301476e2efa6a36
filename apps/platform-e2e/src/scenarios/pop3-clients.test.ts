/** POP3 clients that others wrote take every sample byte for byte, and leave or empty the maildrop as they are told. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { directory, maildir } from '../directories.ts'
import { messages } from '../mailboxes.ts'
import { startPlatform } from '../platform.ts'
import { addAccounts, postbus, type Account } from '../postbus.ts'
import { assertIntact, nameOf, samples, withCrlf, type Sample } from '../samples.ts'
import { byNodemailer } from '../sending.ts'

const run = promisify(execFile)
const GETMAIL_MS = 60_000
const isRoot = process.getuid?.() === 0
const NOBODY = 65_534
const sent = samples()
/** Of a large maildrop. */
const MANY = process.env['POSTBUS_TEST_LONG'] === '1' ? 50_000 : 1000
const without = (name: string): Sample[] => sent.filter((sample) => sample.name !== name)

test('POP3 clients others wrote', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const port = String(ready.ports['pop3s'])
  const accounts = await addAccounts(ready, ['fetchmail', 'getmail', 'poplib', 'curl'])
  const from = ready.accounts[0] ?? assert.fail('no demo account')
  const to = Object.values(accounts).map(({ address }) => address)
  for (const { bytes } of sent) await byNodemailer(ready, { from, to, bytes })
  for (const account of Object.values(accounts)) assertIntact(await messages(ready, account, sent.length), sent)
  const left = (account: Account): Promise<Buffer[]> => messages(ready, account, 0)

  await t.test('fetchmail over POP3S takes everything and empties the maildrop', async () => {
    const dir = await directory()
    const { address, password } = accounts.fetchmail
    const rc = join(dir, 'fetchmailrc')
    await mkdir(join(dir, 'mail'))
    await writeFile(
      rc,
      `poll localhost protocol pop3 port ${port} uidl user "${address}" password "${password}" ssl sslcertck ` +
        `sslcertfile "${ready.ca}" no rewrite fetchall mda "sh -c 'cat > ${dir}/mail/$$'"\n`,
      { mode: 0o600 },
    )
    const env = { ...process.env, FETCHMAILHOME: dir, HOME: dir }
    await run('fetchmail', ['-f', rc, '--invisible', '--nosyslog', '--nodetach'], { env, timeout: 180_000 })
    const taken = (await readdir(join(dir, 'mail'))).map((file) => readFile(join(dir, 'mail', file)))
    assertIntact((await Promise.all(taken)).map(withCrlf), sent)
    assert.deepEqual(await left(accounts.fetchmail), [])
  })

  await t.test('getmail over POP3S leaves what it has seen, then removes it', async () => {
    const { address, password } = accounts.getmail
    const emptyMaildir = async (): Promise<string> => {
      const dir = await directory()
      const folders = ['', 'cur', 'new', 'tmp'].map((half) => join(dir, 'mail', half))
      for (const folder of folders) await mkdir(folder)
      // As root it delivers as somebody else, who must be let in.
      if (isRoot) await Promise.all([chmod(dir, 0o711), ...folders.map((folder) => chown(folder, NOBODY, NOBODY))])
      return dir
    }
    const getmail = async (dir: string, remove: boolean): Promise<void> => {
      const retriever = [
        'type = SimplePOP3SSLRetriever',
        'server = localhost',
        `port = ${port}`,
        `ca_certs = ${ready.ca}`,
      ]
      const user = [`username = ${address}`, `password = ${password}`]
      const destination = [
        '[destination]',
        'type = Maildir',
        `path = ${dir}/mail/`,
        ...(isRoot ? ['user = nobody'] : []),
      ]
      const options = [
        '[options]',
        'read_all = false',
        `delete = ${remove}`,
        'delivered_to = false',
        'received = false',
      ]
      await writeFile(
        join(dir, 'getmailrc'),
        ['[retriever]', ...retriever, ...user, ...destination, ...options, ''].join('\n'),
      )
      await run('getmail', ['--getmaildir', dir, '--rcfile', 'getmailrc', '--quiet'], { timeout: GETMAIL_MS })
    }
    /** On a busy machine getmail may wait for a lock of its own for ever, with nothing due on the connection: then once more, elsewhere. */
    const begun = async (tries: number): Promise<string> => {
      const dir = await emptyMaildir()
      try {
        await getmail(dir, false)
        return dir
      } catch (cause) {
        if (tries === 1 || !wasKilled(cause)) throw cause
        return begun(tries - 1)
      }
    }
    const dir = await begun(3)
    const taken = async (): Promise<Buffer[]> => (await maildir(join(dir, 'mail'))).map(({ bytes }) => bytes)
    assertIntact(await taken(), sent)
    assert.equal((await left(accounts.getmail)).length, sent.length)
    await getmail(dir, true)
    assertIntact(await taken(), sent)
    assert.deepEqual(await left(accounts.getmail), [])
  })

  await t.test('poplib reads with STLS, and removes only at QUIT', async () => {
    const dir = await directory()
    const { address, password } = accounts.poplib
    const args = [String(ready.ports['pop3']), ready.ca, address, password, dir]
    const { stdout } = await run('python3', ['-c', POPLIB, ...args], { timeout: 180_000 })
    assert.match(stdout, /^done$/m)
    const taken = await Promise.all((await readdir(dir)).map((file) => readFile(join(dir, file))))
    assertIntact(taken, sent)
    assertIntact(await left(accounts.poplib), without('plain'))
  })

  await t.test(`a maildrop of ${MANY} messages is listed at once, and keeps its UIDLs over a kill`, async () => {
    const dir = await directory()
    const { bulk: account } = await addAccounts(ready, ['bulk'])
    const mbox = Array.from(
      { length: MANY },
      (_, number) => `From a@example.org Tue Nov 24 03:00:00 2026\nSubject: bulk ${number}\n\n${number}\n\n`,
    )
    await writeFile(join(dir, 'mbox'), mbox.join(''))
    const journal = ['--journal', join(dir, 'journal')]
    await postbus(ready, 'mailbox', 'import', account.address, join(dir, 'mbox'), '--format', 'mbox', ...journal)
    const uidls = async (): Promise<string[]> => {
      const { pop3 = 0 } = platform.ready().ports
      const args = ['-c', UIDLS, String(pop3), ready.ca, account.address, account.password]
      return (await run('python3', args, { timeout: 180_000, maxBuffer: 64 * 1024 * 1024 })).stdout.trim().split('\n')
    }
    const before = await uidls()
    assert.equal(new Set(before).size, MANY)
    await platform.kill('mailstore')
    await platform.untilReady()
    assert.deepEqual(await uidls(), before)
  })

  await t.test('curl lists, reads and removes', async () => {
    const dir = await directory()
    const { address, password } = accounts.curl
    const curl = async (...args: string[]): Promise<string> =>
      (await run('curl', ['-sS', '--cacert', ready.ca, '-u', `${address}:${password}`, ...args])).stdout
    const base = `pop3s://localhost:${port}`
    const numbers = (await curl(`${base}/`)).match(/^\d+/gm) ?? []
    const taken: Buffer[] = []
    for (const number of numbers) {
      await curl(`${base}/${number}`, '-o', join(dir, number))
      taken.push(await readFile(join(dir, number)))
    }
    assertIntact(taken, sent)
    const plain = numbers[taken.findIndex((message) => nameOf(message) === 'plain')] ?? assert.fail('no plain')
    await curl(`${base}/${plain}`, '-X', 'DELE', '-I')
    assertIntact(await left(accounts.curl), without('plain'))
  })
})

const UIDLS = `
import poplib, ssl, sys, time
port, ca, user, password = sys.argv[1:]
for attempt in range(100):
    client = poplib.POP3('localhost', int(port))
    client.stls(ssl.create_default_context(cafile=ca))
    client.user(user)
    try:
        client.pass_(password)
        break
    except poplib.error_proto as error:
        # RFC 3206: try again later.
        assert b'[SYS/TEMP]' in error.args[0], error
        client.close()
        time.sleep(0.1)
uidl = client.uidl()[1]
assert len(client.list()[1]) == len(uidl) == client.stat()[0]
for line in uidl:
    print(line.split()[1].decode())
client.quit()
`

const POPLIB = `
import os, poplib, ssl, sys
port, ca, user, password, dir = sys.argv[1:]
poplib._MAXLINE = 1 << 20
def session():
    client = poplib.POP3('localhost', int(port))
    assert 'UIDL' in client.capa()
    client.stls(ssl.create_default_context(cafile=ca))
    client.user(user)
    client.pass_(password)
    return client
client = session()
count, octets = client.stat()
uidl = client.uidl()[1]
assert len(set(line.split()[1] for line in uidl)) == count
plain = None
for number in range(1, count + 1):
    lines = client.retr(number)[1]
    message = b''.join(line + b'\\r\\n' for line in lines)
    assert len(message) == int(client.list(number).split()[2]), number
    with open(os.path.join(dir, str(number)), 'wb') as file:
        file.write(message)
    head = client.top(number, 0)[1]
    assert lines[:len(head)] == head
    if b'Subject: sample plain' in lines:
        plain = number
client.dele(plain)
client.close()
client = session()
assert client.stat() == (count, octets)
assert client.uidl()[1] == uidl
client.dele(plain)
client.quit()
print('done')
`

const wasKilled = (cause: unknown): boolean => cause instanceof Error && 'killed' in cause && cause.killed === true
