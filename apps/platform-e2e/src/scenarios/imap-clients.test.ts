/**
 * IMAP clients that others wrote read every sample byte for byte, and change the mailbox: mbsync, offlineimap, mutt, imapflow,
 * Python's imaplib and curl; sent with nodemailer, Python's smtplib and curl. Each reader has an account of its own.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { directory, maildir } from '../directories.ts'
import { imapClientOf, messages } from '../mailboxes.ts'
import { startPlatform, type Ready } from '../platform.ts'
import { addAccounts, postbus, type Account } from '../postbus.ts'
import { assertIntact, nameOf, samples } from '../samples.ts'
import { byCurl, byNodemailer, bySmtplib, piped } from '../sending.ts'

const run = promisify(execFile)
const sent = samples()
/** Of a mailbox that is large for the client. */
const MANY = process.env['POSTBUS_TEST_LONG'] === '1' ? 10_000 : 300
const readers = ['mbsync', 'offlineimap', 'mutt', 'imapflow', 'imaplib', 'curl'] as const

const upload = (name: string): Buffer =>
  Buffer.from(
    `From: a@example.org\r\nSubject: ${name}\r\nMessage-ID: <${name}@samples.example.org>\r\n\r\nkept by ${name}\r\n.\r\n`,
  )

/** mbsync and mutt add fields of their own to what they copy. */
const withoutTheirs = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.toString('latin1').replace(/^(?:X-TUID|Status|Content-Length|Lines): .*\r\n/gm, ''), 'latin1')

/** Flags of every message by the sample's name. */
async function flagsOf(ready: Ready, account: Account, mailbox = 'INBOX'): Promise<Map<string, string[]>> {
  const client = await imapClientOf(ready, account)
  try {
    const { exists } = await client.mailboxOpen(mailbox, { readOnly: true })
    const found = new Map<string, string[]>()
    if (exists === 0) return found
    for await (const { source, flags } of client.fetch('1:*', { source: true, flags: true })) {
      if (source) found.set(nameOf(source), [...(flags ?? [])].filter((flag) => flag !== '\\Recent').toSorted())
    }
    return found
  } finally {
    await client.logout()
  }
}

test('IMAP clients others wrote', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const accounts = await addAccounts(ready, readers)
  const from = ready.accounts[0] ?? assert.fail('no demo account')
  const to = Object.values(accounts).map(({ address }) => address)
  const others = (...names: string[]): string[] =>
    sent
      .map(({ name }) => name)
      .filter((name) => !names.includes(name))
      .toSorted()

  await t.test('nodemailer, smtplib and curl send; every mailbox has every byte', async () => {
    const senders = [byNodemailer, bySmtplib, byCurl]
    for (const [index, { bytes }] of sent.entries()) await senders[index % senders.length]?.(ready, { from, to, bytes })
    for (const account of Object.values(accounts)) assertIntact(await messages(ready, account, sent.length), sent)
  })

  await t.test('mbsync mirrors into a Maildir, and back', async () => {
    const dir = await directory()
    const account = accounts.mbsync
    const config = join(dir, 'mbsyncrc')
    await mkdir(join(dir, 'mail'))
    await writeFile(
      config,
      [
        ...['IMAPAccount postbus', 'Host localhost', `Port ${ready.ports['imaps']}`, 'SSLType IMAPS'],
        ...[
          `User ${account.address}`,
          `Pass ${account.password}`,
          `CertificateFile ${ready.ca}`,
          'AuthMechs PLAIN',
          '',
        ],
        ...['IMAPStore far', 'Account postbus', ''],
        ...['MaildirStore near', `Path ${dir}/mail/`, `Inbox ${dir}/mail/INBOX`, 'SubFolders Verbatim', ''],
        ...['Channel all', 'Far :far:', 'Near :near:', 'Patterns *', 'Create Both', 'Expunge Both', 'SyncState *', ''],
      ].join('\n'),
    )
    const sync = () => run('mbsync', ['-c', config, '-a'], { env: { ...process.env, HOME: dir } })
    const inbox = join(dir, 'mail', 'INBOX')

    await sync()
    const mirrored = await maildir(inbox)
    assertIntact(
      mirrored.map(({ bytes }) => withoutTheirs(bytes)),
      sent,
    )

    const fileOf = (name: string): string => mirrored.find(({ bytes }) => nameOf(bytes) === name)?.file ?? ''
    const flag = (name: string, flags: string) =>
      rename(fileOf(name), join(inbox, 'cur', `${fileOf(name).split('/').at(-1)?.replace(/:2,.*/, '')}:2,${flags}`))
    await flag('dots', 'FS')
    await flag('plain', 'T')
    await writeFile(join(inbox, 'new', '1.mbsync.here'), upload('mbsync').toString().replaceAll('\r\n', '\n'))
    for (const half of ['cur', 'new', 'tmp']) await mkdir(join(dir, 'mail', 'Projects', half), { recursive: true })
    await sync()
    const far = await flagsOf(ready, account)
    assert.deepEqual([...far.keys()].toSorted(), [...others('plain'), 'mbsync'].toSorted())
    assert.deepEqual(far.get('dots'), ['\\Flagged', '\\Seen'])
    const uploaded = (await messages(ready, account, sent.length)).find((message) => nameOf(message) === 'mbsync')
    assert.deepEqual(uploaded && withoutTheirs(uploaded), upload('mbsync'))
    assert.equal((await flagsOf(ready, account, 'Projects')).size, 0)

    const client = await imapClientOf(ready, account)
    await client.mailboxOpen('INBOX')
    await client.messageFlagsAdd({ header: { 'message-id': '<huge@samples.example.org>' } }, ['\\Answered'])
    await client.messageDelete({ header: { 'message-id': '<large@samples.example.org>' } })
    await client.logout()
    await sync()
    const near = new Map((await maildir(inbox)).map(({ bytes, flags }) => [nameOf(bytes), flags]))
    assert.deepEqual([...near.keys()].toSorted(), [...others('plain', 'large'), 'mbsync'].toSorted())
    assert.match(near.get('huge') ?? '', /R/)
  })

  await t.test('offlineimap mirrors into a Maildir, and back', async () => {
    const dir = await directory()
    const account = accounts.offlineimap
    const config = join(dir, 'offlineimaprc')
    await writeFile(
      config,
      [
        ...['[general]', 'accounts = postbus', `metadata = ${dir}/state`, 'ui = quiet', ''],
        ...['[Account postbus]', 'localrepository = near', 'remoterepository = far', ''],
        ...['[Repository near]', 'type = Maildir', `localfolders = ${dir}/mail`, ''],
        ...['[Repository far]', 'type = IMAP', 'remotehost = localhost', `remoteport = ${ready.ports['imaps']}`],
        ...[`remoteuser = ${account.address}`, `remotepass = ${account.password}`],
        ...['ssl = yes', `sslcacertfile = ${ready.ca}`, ''],
      ].join('\n'),
    )
    const sync = () =>
      run('offlineimap', ['-c', config, '-o', '-u', 'quiet'], { env: { ...process.env, HOME: dir }, timeout: 180_000 })
    const inbox = join(dir, 'mail', 'INBOX')
    await sync()
    const mirrored = await maildir(inbox)
    assertIntact(
      mirrored.map(({ bytes }) => bytes),
      sent,
    )

    const fileOf = (name: string): string => mirrored.find(({ bytes }) => nameOf(bytes) === name)?.file ?? ''
    const dots = fileOf('dots').split('/').at(-1)?.replace(/:2,.*/, '')
    await rename(fileOf('dots'), join(inbox, 'cur', `${dots}:2,FS`))
    await rm(fileOf('plain'))
    await writeFile(join(inbox, 'new', '1.offlineimap.here'), upload('offlineimap').toString().replaceAll('\r\n', '\n'))
    await sync()
    const far = await flagsOf(ready, account)
    assert.deepEqual([...far.keys()].toSorted(), [...others('plain'), 'offlineimap'].toSorted())
    assert.deepEqual(far.get('dots'), ['\\Flagged', '\\Seen'])

    const client = await imapClientOf(ready, account)
    await client.mailboxOpen('INBOX')
    await client.messageFlagsAdd({ header: { 'message-id': '<huge@samples.example.org>' } }, ['\\Answered'])
    await client.messageDelete({ header: { 'message-id': '<large@samples.example.org>' } })
    await client.logout()
    await sync()
    const near = new Map((await maildir(inbox)).map(({ bytes, flags }) => [nameOf(bytes), flags]))
    assert.deepEqual([...near.keys()].toSorted(), [...others('plain', 'large'), 'offlineimap'].toSorted())
    assert.match(near.get('huge') ?? '', /R/)
  })

  await t.test(`mbsync goes on where it was broken off, both ways, with ${MANY} messages`, async () => {
    const dir = await directory()
    const { bulk: account } = await addAccounts(ready, ['bulk'])
    const [near, far] = [join(dir, 'near', 'INBOX'), join(dir, 'far')]
    for (const half of ['cur', 'new', 'tmp']) await mkdir(join(near, half), { recursive: true })
    for (const half of ['cur', 'new', 'tmp']) await mkdir(join(far, half), { recursive: true })
    const numbers = Array.from({ length: MANY }, (_, number) => number)
    const name = (number: number): string => `bulk-${String(number).padStart(6, '0')}`
    // Even ones begin there, odd ones here.
    for (const number of numbers) {
      const text = upload(name(number)).toString().replaceAll('\r\n', '\n')
      await writeFile(join(number % 2 === 0 ? far : near, 'cur', `${number}.here:2,S`), text)
    }
    const journal = join(dir, 'journal')
    await postbus(ready, 'mailbox', 'import', account.address, far, '--journal', journal)
    const config = join(dir, 'mbsyncrc')
    await writeFile(
      config,
      [
        ...['IMAPStore far', 'Host localhost', `Port ${ready.ports['imaps']}`, 'SSLType IMAPS', 'AuthMechs PLAIN'],
        ...[`User ${account.address}`, `Pass ${account.password}`, `CertificateFile ${ready.ca}`, ''],
        ...['MaildirStore near', `Path ${dir}/near/`, `Inbox ${near}`, ''],
        ...['Channel inbox', 'Far :far:', 'Near :near:', 'Create Both', 'Expunge Both', 'SyncState *', ''],
      ].join('\n'),
    )
    const start = () => spawn('mbsync', ['-c', config, '-a'], { env: { ...process.env, HOME: dir }, stdio: 'ignore' })
    const fileCount = async (): Promise<number> =>
      (await Promise.all(['cur', 'new'].map((half) => readdir(join(near, half))))).flat().length
    const broken = start()
    const ended = once(broken, 'close')
    // Some of what is to come has come.
    while (broken.exitCode === null && (await fileCount()) < MANY / 2 + MANY / 8) await pause(5)
    broken.kill('SIGKILL')
    await ended
    const [status] = await once(start(), 'close')
    assert.equal(status, 0)

    const expected = numbers.map(name)
    assert.deepEqual((await maildir(near)).map(({ bytes }) => nameOf(bytes)).toSorted(), expected)
    assert.deepEqual([...(await flagsOf(ready, account)).keys()].toSorted(), expected)
    assert.equal((await messages(ready, account, MANY)).length, MANY)
  })

  await t.test('mutt in batch mode copies, flags, deletes and moves', async () => {
    const dir = await directory()
    const { address, password } = accounts.mutt
    const rc = join(dir, 'muttrc')
    await writeFile(
      rc,
      [
        `set folder=${dir} imap_user="${address}" imap_pass="${password}" ssl_force_tls=yes certificate_file="${ready.ca}"`,
        'set mbox_type=Maildir quit=yes delete=yes confirmappend=no confirmcreate=no move=no',
        'set auto_tag=yes wait_key=no header_cache="" message_cachedir="" mark_old=no beep=no timeout=1 sleep_time=0 mail_check=1',
      ].join('\n'),
    )
    const url = `imaps://localhost:${ready.ports['imaps']}`
    // Batch mode still asks for a terminal.
    const mutt = (...keys: string[]) => {
      const push = `push "${keys.join('')}"`
      return run('script', ['-qec', `mutt -n -F ${rc} -f ${url}/INBOX -e '${push}'`, join(dir, 'typescript')], {
        env: { ...process.env, HOME: dir, TERM: 'xterm' },
        timeout: 180_000,
      })
    }
    await mutt('<tag-pattern>~A<enter>', `<copy-message>${dir}/copy<enter>`, '<exit>')
    assertIntact(
      (await maildir(join(dir, 'copy'))).map(({ bytes }) => withoutTheirs(bytes)),
      sent,
    )

    await mutt(
      '<untag-pattern>~A<enter><tag-pattern>~i dots@<enter><flag-message>',
      '<delete-pattern>~i plain@<enter>',
      `<untag-pattern>~A<enter><tag-pattern>~i huge@<enter><save-message>${url}/Kept<enter>`,
      '<sync-mailbox><quit>',
    )
    const inbox = await flagsOf(ready, accounts.mutt)
    assert.deepEqual([...inbox.keys()].toSorted(), others('plain', 'huge'))
    assert.ok(inbox.get('dots')?.includes('\\Flagged'))
    assertIntact(
      await messages(ready, accounts.mutt, 1, 'Kept'),
      sent.filter(({ name }) => name === 'huge'),
    )
  })

  await t.test('imapflow appends, searches, flags, moves, copies and deletes', async () => {
    const client = await imapClientOf(ready, accounts.imapflow)
    await client.mailboxCreate('Archive/2026')
    await client.mailboxOpen('INBOX')
    const byName = (name: string) => ({ header: { 'message-id': `<${name}@samples.example.org>` } })
    const appended = await client.append('INBOX', upload('imapflow'), ['\\Seen', '$Later'])
    assert.ok(appended)
    assert.deepEqual(await client.search({ subject: 'imapflow' }, { uid: true }), [appended.uid])
    await client.messageFlagsAdd(byName('dots'), ['\\Flagged'])
    const moved = await client.messageMove(byName('plain'), 'Archive/2026')
    assert.equal(moved && moved.uidMap?.size, 1)
    await client.messageCopy(byName('huge'), 'Archive/2026')
    await client.messageDelete(byName('large'))
    assert.deepEqual(await client.search({ keyword: '$Later' }, { uid: true }), [appended.uid])
    await client.logout()

    const inbox = await flagsOf(ready, accounts.imapflow)
    assert.deepEqual([...inbox.keys()].toSorted(), [...others('plain', 'large'), 'imapflow'].toSorted())
    assert.deepEqual(inbox.get('imapflow'), ['$Later', '\\Seen'])
    assert.ok(inbox.get('dots')?.includes('\\Flagged'))
    assertIntact(
      await messages(ready, accounts.imapflow, 2, 'Archive/2026'),
      sent.filter(({ name }) => ['plain', 'huge'].includes(name)),
    )
  })

  await t.test('imapflow with QRESYNC hears what vanished and what changed while it was away', async (t) => {
    const account = accounts.imapflow
    const client = await imapClientOf(ready, account, { qresync: true })
    if (!client.enabled.has('QRESYNC')) {
      await client.logout()
      return t.skip('the server has no QRESYNC')
    }
    const { uidValidity, highestModseq = 0n } = await client.mailboxOpen('INBOX')
    await client.mailboxClose()
    const other = await imapClientOf(ready, account)
    await other.mailboxOpen('INBOX')
    await other.messageFlagsAdd({ header: { 'message-id': '<empty@samples.example.org>' } }, ['\\Flagged'])
    const [gone] =
      (await other.search({ header: { 'message-id': '<latin1@samples.example.org>' } }, { uid: true })) || []
    await other.messageDelete(String(gone), { uid: true })
    await other.logout()

    const vanished: number[] = []
    const flagged: string[] = []
    client.on('expunge', ({ uid }: { uid?: number }) => vanished.push(uid ?? 0))
    client.on('flags', ({ flags }: { flags: Set<string> }) => flagged.push([...flags].join(' ')))
    await client.mailboxOpen('INBOX', { uidValidity, changedSince: highestModseq } as object)
    await client.logout()
    assert.deepEqual([vanished, flagged.length], [[gone], 1])
  })

  await t.test('imaplib fetches, stores, copies, appends and expunges', async () => {
    const dir = await directory()
    const { address, password } = accounts.imaplib
    const said = await piped(
      'python3',
      ['-c', IMAPLIB, String(ready.ports['imap']), ready.ca, address, password, dir],
      upload('imaplib'),
    )
    assert.match(said, /^done$/m)
    const fetched = (await readdir(dir)).map((file) => readFile(join(dir, file)))
    assertIntact(await Promise.all(fetched), sent)
    const inbox = await flagsOf(ready, accounts.imaplib)
    assert.deepEqual([...inbox.keys()].toSorted(), [...others('plain'), 'imaplib'].toSorted())
    assert.deepEqual(inbox.get('imaplib'), ['\\Answered'])
    assertIntact(
      await messages(ready, accounts.imaplib, 1, 'Python'),
      sent.filter(({ name }) => name === 'plain'),
    )
  })

  await t.test('curl fetches, searches, uploads and stores', async () => {
    const dir = await directory()
    const { address, password } = accounts.curl
    const base = `imaps://localhost:${ready.ports['imaps']}`
    const login = ['-sS', '--cacert', ready.ca, '-u', `${address}:${password}`]
    const curl = async (...args: string[]): Promise<string> => (await run('curl', [...login, ...args])).stdout

    const uids = (await curl(`${base}/INBOX`, '-X', 'UID SEARCH ALL')).match(/\d+/g) ?? []
    const fetched = uids.map(async (uid) => {
      await curl(`${base}/INBOX;UID=${uid}`, '-o', join(dir, uid))
      return readFile(join(dir, uid))
    })
    assertIntact(await Promise.all(fetched), sent)

    await piped('curl', [...login, '-T', '-', `${base}/INBOX`], upload('curl')).catch(async () => {
      // A size unknown beforehand makes no literal: older versions of curl want a file.
      await writeFile(join(dir, 'upload'), upload('curl'))
      await curl('-T', join(dir, 'upload'), `${base}/INBOX`)
    })
    const [plain] = (await curl(`${base}/INBOX?HEADER%20MESSAGE-ID%20plain@`)).match(/\d+/g) ?? []
    await curl(`${base}/INBOX`, '-X', `STORE ${plain} +FLAGS (\\Deleted)`)
    await curl(`${base}/INBOX`, '-X', 'EXPUNGE')
    const inbox = await flagsOf(ready, accounts.curl)
    assert.deepEqual([...inbox.keys()].toSorted(), [...others('plain'), 'curl'].toSorted())
    assert.deepEqual(inbox.get('curl'), ['\\Seen'])
  })
})

const IMAPLIB = `
import imaplib, os, ssl, sys
port, ca, user, password, dir = sys.argv[1:]
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
client = imaplib.IMAP4('localhost', int(port))
ok(client.starttls(ssl.create_default_context(cafile=ca)))
ok(client.login(user, password))
ok(client.select('INBOX'))
for uid in ok(client.uid('SEARCH', 'ALL'))[0].split():
    data = ok(client.uid('FETCH', uid, '(UID FLAGS BODY.PEEK[])'))
    with open(os.path.join(dir, uid.decode()), 'wb') as file:
        file.write(data[0][1])
ok(client.create('Python'))
ok(client.subscribe('Python'))
assert any(b'Python' in line for line in ok(client.lsub('""', '*')))
plain = ok(client.search(None, 'HEADER', 'Message-ID', 'plain@samples'))[0]
ok(client.copy(plain, 'Python'))
ok(client.store(plain, '+FLAGS', '(\\\\Deleted)'))
assert ok(client.expunge()) == [plain]
ok(client.append('INBOX', '(\\\\Answered)', None, sys.stdin.buffer.read()))
assert b'MESSAGES 1' in ok(client.status('Python', '(MESSAGES)'))[0]
client.logout()
print('done')
`
